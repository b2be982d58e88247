"""``python -m examples.bookinfo.details``: details under waitress."""

import waitress

from examples.bookinfo.details.app import app
from examples.bookinfo.service import export_spans, listening_socket

export_spans()
waitress.serve(app, sockets=[listening_socket()], _quiet=True)
