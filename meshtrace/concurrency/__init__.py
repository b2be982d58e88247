"""
One file a way to run code elsewhere, each with ``patch()`` and ``unpatch()``.

What follows a request by such a patch does so as an asyncio task does: it keeps the ids for as long
as it runs, and user data until the request ends. A context is set around each piece of work and
undone after it, so that a thread that serves many keeps nothing.
"""
