"""
Everything that is needed to show the bookshop and is no part of it.

From the bottom: `ports`, `processes` and `envoy` know how to start things; `sidecars` fills in the
Envoy files; `mesh` puts it all together. `spans` and `collector` hold what the Envoys report;
`verdict` judges it, `report` prints it, `demo` tells the story.
"""
