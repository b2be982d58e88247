"""``python -m examples.bookinfo.details``: details under waitress."""

import waitress

from examples.bookinfo.details.app import app
from examples.bookinfo.service import listening_socket

waitress.serve(app, sockets=[listening_socket()], _quiet=True)
