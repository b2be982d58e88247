"""
requests: every call of a session goes through ``Session.send``, prepared by hand or not.

Each redirect does, too. The headers are added to the outgoing request only, never to
``session.headers``, which threads share, and after ``auth=``, so that a signature does not cover
them.
"""

from meshtrace.extras import needed

with needed("requests"):
    import requests

from meshtrace.outbound.requests.patching import patch, unpatch
from meshtrace.outbound.requests.sessions import Session, wrap

__all__ = ["CLIENT", "Session", "patch", "unpatch", "wrap"]

CLIENT = requests.Session
"""What `wrap` takes."""
