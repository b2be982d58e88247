"""
The spellings on the wire: text to value and back.

Everything here is pure: no I/O, no logging, no environment, no OpenTelemetry. ``parse_*`` and
``format_*`` are each other's inverse; ``relayable_*`` says which part of what came may be sent on
as it came, without making any value of it.
"""
