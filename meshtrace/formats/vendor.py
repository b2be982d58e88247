"""
Fields that are relayed without being understood.

``x-request-id`` is Envoy's own (since 1.39 its OpenTelemetry tracer keeps the sampling decision in
the 15th character); the others belong to one tracer each. What they mean is their tracer's affair;
here is only what may be sent at all: visible ASCII, with spaces and tabs inside.
"""

__all__ = [
    "DATADOG_FIELDS",
    "DATADOG_IDS",
    "DATA_FIELDS",
    "ID_FIELDS",
    "SKYWALKING_FIELDS",
    "is_visible",
]

DATADOG_IDS = ("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority")
_DATADOG_DATA = ("x-datadog-tags", "x-datadog-origin")
DATADOG_FIELDS = (*DATADOG_IDS, *_DATADOG_DATA)
SKYWALKING_FIELDS = ("sw8", "sw8-x")

ID_FIELDS = ("x-request-id", *DATADOG_IDS)
"""Opaque ids."""

DATA_FIELDS = (
    *_DATADOG_DATA,
    *SKYWALKING_FIELDS,
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-ot-span-context",
)
"""Fields that may carry more than ids: names of services, addresses, a user's id."""


def is_visible(value: str) -> bool:
    r"""
    Tell whether *value* may be sent: visible ASCII, blanks only inside, not empty.

    Source: RFC 9110, section 5.5, without its obsolete bytes.

    >>> is_visible("Root=1-67891233-abcdef012345678912345678"), is_visible("a\r\nb"), is_visible("")
    (True, False, False)
    """
    return (
        value.isascii()
        and (value.isprintable() or value.replace("\t", " ").isprintable())
        and value != ""
        and value.strip(" \t") == value
    )
