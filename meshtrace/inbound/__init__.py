"""
Where a request arrives: one file a protocol or framework.

To add a framework that is neither ASGI nor WSGI:

1. Write ``inbound/FRAMEWORK.py`` with a middleware in the framework's own idiom, which takes
   ``settings=`` and the options, and hands them to `meshtrace.arrival.Arrivals`.
2. At the start of every request, also of one without headers, set
   `meshtrace.ambient.CURRENT` to a `Snapshot` of one of the extractors in
   `meshtrace.relay.extract`, and leave it in the framework's request object, where
   ``meshtrace.use(request)`` and a room further inside find it.
3. At the end undo it, set ``snapshot.ended``, and say so to `Arrivals.end`. A body that is streamed
   belongs to the request: `meshtrace.ambient.Stepwise` runs its steps.
4. Never raise, and change nothing of the request: a fault of ours is `meshtrace.notices.fault`.
5. Write ``tests/inbound/driver_FRAMEWORK.py``; the contract suite runs over it.
"""
