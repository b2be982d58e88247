"""
Istio's bookinfo in Python: four services behind real Envoy sidecars, one trace through all.

``python -m examples.bookinfo`` starts it; ``README.md`` beside this file shows the way around.
"""
