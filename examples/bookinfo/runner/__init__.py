"""
Everything that is needed to show the bookshop and is no part of it.

From the bottom: `ports`, `processes` and `envoy` know how to start things, `services` and
`sidecars` what to start; `mesh` puts it together. `spans` and `collector` hold what the Envoys
report, and `export` sends it on; `headers` has what they noted of the headers. A `visitor` makes
the requests, `verdict` judges them, `report` prints. `wholeness` judges a trace of which nobody
knows the visit, `views` and `page` show it to a browser, and a `comparison` makes the same request
with and without meshtrace. `demo` tells the story, the way that the `options` ask for.
"""
