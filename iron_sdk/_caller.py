"""Who makes a call, as the core asks back: nobody, unless the client was given callables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from iron_sdk._iron import Port


CallerKey: TypeAlias = "tuple[Port, int, bool, bool]"
"""What the core knows a caller by.

The port of its loop, its number, and whether it decides about tools and has a word on output.
"""


class CallerLike(Protocol):
    """Who makes a call."""

    def by(self, find_port: Callable[[], Port]) -> CallerKey | None:
        """Be asked on the loop of a port from now on; what the core knows the caller by."""
        ...

    def by_thread(self) -> CallerKey | None:
        """Be asked on a loop of our own."""
        ...

    def explain(self, error: BaseException) -> None:
        """Make what a callable raised the cause of the error that came of it."""
        ...


class _Nobody:
    __slots__ = ()

    def by(self, find_port: Callable[[], Port]) -> None:
        pass

    def by_thread(self) -> None:
        pass

    def explain(self, error: BaseException) -> None:
        pass


NOBODY: CallerLike = _Nobody()
"""The caller of a call that asks nobody."""
