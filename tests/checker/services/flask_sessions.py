"""Flask with meshtrace and two sessions of requests; the fault: one of them is not wrapped."""

import sys

import requests
from flask import Flask

from meshtrace import MeshTraceWSGI, wrap

port, variant = int(sys.argv[1]), sys.argv[2]

app = Flask(__name__)
app.wsgi_app = MeshTraceWSGI(app.wsgi_app)  # type: ignore[method-assign]
reviews = wrap(requests.Session())
details = requests.Session()
if variant == "correct":
    wrap(details)


@app.get("/product")
def product() -> str:
    """Call two services."""
    reviews.get("http://reviews:9080/reviews/0", timeout=5)
    return details.get("http://details:9080/details/0", timeout=5).text


app.run("127.0.0.1", port)
