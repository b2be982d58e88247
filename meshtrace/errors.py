"""
The errors meshtrace raises, and whose fault each one is.

* `MeshTraceError`
    * `MalformedHeaderError` - a header's text is not what its format says (the sender's fault)
    * `ConfigurationError` - a setting given in code is not one of the valid choices (the caller's
        fault)

Neither ever leaves a request: extraction drops what is malformed, and settings are judged when they
are given.
"""

__all__ = ["ConfigurationError", "MalformedHeaderError", "MeshTraceError"]


class MeshTraceError(Exception):
    """
    The root of every error of meshtrace.

    >>> issubclass(ConfigurationError, MeshTraceError)
    True
    """


class MalformedHeaderError(MeshTraceError, ValueError):
    """
    A header's text does not follow its format.

    The text itself is not kept: it came from outside, and an error message ends up in a log.

    Args:
        field: The header's name, in lower case.
        reason: What is wrong with it, in words.

    >>> str(MalformedHeaderError("b3", "the span id is not 16 hex digits"))
    'b3: the span id is not 16 hex digits'
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class ConfigurationError(MeshTraceError, ValueError):
    """
    A setting given in code is not valid; the message names the valid choices.

    >>> raise ConfigurationError("incoming='all': not one of 'trust', 'ids', 'ignore'")
    Traceback (most recent call last):
        ...
    meshtrace.errors.ConfigurationError: incoming='all': not one of 'trust', 'ids', 'ignore'
    """
