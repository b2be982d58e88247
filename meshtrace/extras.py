"""A library that a room needs, and that is not installed, is told with what to type."""

from types import TracebackType

__all__ = ["needed"]


class needed:  # noqa: N801 - it reads as a statement
    """
    Import a room's library inside this.

    Args:
        extra: The extra of meshtrace that brings the library.

    Raises:
        ModuleNotFoundError: The library is not installed.

    >>> with needed("httpx"):
    ...     import no_such_library
    Traceback (most recent call last):
        ...
    ModuleNotFoundError: no_such_library is not installed: pip install 'meshtrace[httpx]'
    """

    def __init__(self, extra: str) -> None:
        self._extra = extra

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A part of a library that is missing is another matter.
        if isinstance(error, ModuleNotFoundError) and error.name and "." not in error.name:
            raise ModuleNotFoundError(
                f"{error.name} is not installed: pip install 'meshtrace[{self._extra}]'",
                name=error.name,
            ) from None
