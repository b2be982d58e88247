"""
What came in goes out: from the headers of a request to the fields of the calls made for it.

`extract` picks the named fields out of a carrier, `judge` drops what is malformed, `snapshot` keeps
the result for one request, and `inject` decides which of it one call may have.
"""
