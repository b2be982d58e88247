"""
The product page with spans made by hand around its calls, and by nothing else.

``python -m tests.mesh.manual``, with the environment that `Mesh` gives to a service with spans.
"""

from __future__ import annotations

import waitress
from opentelemetry import trace

from examples.bookinfo.productpage import backends
from examples.bookinfo.productpage.app import create_app
from examples.bookinfo.service import export_spans, listening_socket

if __name__ == "__main__":
    export_spans()
    tracer = trace.get_tracer("bookinfo")
    backends.details = tracer.start_as_current_span("details")(backends.details)
    backends.reviews = tracer.start_as_current_span("reviews")(backends.reviews)
    waitress.serve(create_app(), sockets=[listening_socket()], threads=16, _quiet=True)
