"""
httpx: every attempt of a `Client` or an `AsyncClient`; see `meshtrace.httpx_like`.

The headers are added to each attempt's own request, never to ``client.headers``, and after the
event hooks and ``auth=``, so that a signature does not cover them.
"""

from meshtrace.extras import needed

with needed("httpx"):
    import httpx

from meshtrace.httpx_like import room_of

__all__ = ["CLIENT", "patch", "unpatch", "wrap"]

CLIENT = (httpx.Client, httpx.AsyncClient)
"""What `wrap` takes."""

_room = room_of(httpx)
wrap = _room.wrap
patch = _room.patch
unpatch = _room.unpatch
