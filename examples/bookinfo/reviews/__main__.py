"""``python -m examples.bookinfo.reviews``: reviews under uvicorn."""

import uvicorn

from examples.bookinfo.reviews.app import app
from examples.bookinfo.service import export_spans, listening_socket

export_spans()
config = uvicorn.Config(app, log_level="warning", timeout_keep_alive=75)
uvicorn.Server(config).run(sockets=[listening_socket()])
