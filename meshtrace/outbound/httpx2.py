"""
httpx2: every attempt of a `Client` or an `AsyncClient`; see `meshtrace.httpx_like`.

The headers are added to each attempt's own request, never to ``client.headers``, and after the
event hooks and ``auth=``, so that a signature does not cover them.
"""

from meshtrace.extras import needed

with needed("httpx2"):
    import httpx2

from meshtrace.httpx_like import room_of

__all__ = ["CLIENT", "patch", "unpatch", "wrap"]

CLIENT = (httpx2.Client, httpx2.AsyncClient)
"""What `wrap` takes."""

_room = room_of(httpx2)
wrap = _room.wrap
patch = _room.patch
unpatch = _room.unpatch
