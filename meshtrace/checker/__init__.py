"""
``meshtrace check``: what a service, in any language, does to the trace headers.

Read in the order in which a check moves: `probes` are sent to a service that `process` started,
`recorder` catches what it calls, `isolation` leads its calls there, `attribution` says which call
was made for which probe, `verdict` compares what came with what went, `effect` says what that does
to the trace in Envoy, `diagnosis` why, and `report` prints it.
"""
