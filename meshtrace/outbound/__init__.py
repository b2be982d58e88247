"""
Where a call leaves: one file a client library, the same verbs in each.

To add a client library:

1. Write ``outbound/LIBRARY.py`` with ``wrap(client, settings)``, ``patch()`` and ``unpatch()``, and
   name in ``CLIENT`` what it wraps. Work at the library's lowest public place through which every
   call of a client goes once per attempt, so that retries, redirects, hooks and prepared requests
   are covered.
2. There, ask `meshtrace.relay.inject.OutboundRules.decide` for what to add. Keep the `Sent` it
   gives on the library's request object, and take off what it names, where unchanged, before the
   same object (or its redirect) is decided again.
3. Leave the library's own errors its own, and never raise: a fault of ours is
   `meshtrace.notices.fault`, and the call goes on without.
4. Name the library in ``meshtrace/options.py`` (``PATCHABLE``).
"""
