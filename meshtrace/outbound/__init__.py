"""
Where a call leaves: one room a client library, the same verbs in each.

To add a client library:

1. Write ``outbound/LIBRARY.py``, or a package where one file is too small, with ``wrap(client,
   settings)``, ``patch()`` and ``unpatch()``, and name in ``CLIENT`` what it wraps. Work at the
   library's lowest public place through which every call of a client goes once per attempt, so that
   retries, redirects, hooks and prepared requests are covered.
2. There, ask `meshtrace.departure.Departures.decide` for what to add. Keep the `Sent` that it gives
   on the library's request object, or in the place the library has for extensions, and only then
   `meshtrace.departure.put_on`. Hand the same `Sent` in again when the object is sent again, and
   its `next_hop` for the request that follows a redirect.
3. Leave the library's own errors its own, and never raise: a fault of ours is
   `meshtrace.notices.fault`, and the call goes on without.
4. Name the library in ``meshtrace/options.py`` (``CLIENTS``).
5. Write ``tests/outbound/driver_LIBRARY.py``: the suite in ``tests/contracts.py``, which every
   library's file passes, finds it.
"""
