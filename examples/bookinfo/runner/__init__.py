"""
Everything that is needed to show the bookshop and is no part of it.

From the bottom: `ports`, `processes` and `envoy` know how to start things, `services` and
`sidecars` what to start; `mesh` puts it together. `spans` and `collector` hold what the Envoys
report, a `visitor` makes the requests, `verdict` judges, `report` prints, and `demo` tells the
story, the way that the `options` ask for.
"""
