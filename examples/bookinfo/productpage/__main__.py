"""``python -m examples.bookinfo.productpage``: productpage under waitress."""

import waitress

from examples.bookinfo.productpage.app import create_app
from examples.bookinfo.service import export_spans, listening_socket

export_spans()
waitress.serve(create_app(), sockets=[listening_socket()], threads=16, _quiet=True)
