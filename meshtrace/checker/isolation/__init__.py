"""
How a service's calls are led to the recorder.

`namespace` enters a network namespace, in which `inside` makes a network of our own: nothing
leaves the machine, and every language is caught. Where the kernel does not allow that,
`environment` redirects Python inside the interpreter, and tells others by proxy variables.
"""
