"""Scopes: what holds every call made inside a `with` block."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from iron_sdk import _iron

    Native: TypeAlias = _iron.Budget | _iron.Policy | _iron.Run

N = TypeVar("N", bound="Native")

# Innermost first. Tasks inherit it as they inherit every context variable.
_scope: ContextVar[tuple[Native, ...]] = ContextVar("iron_sdk.scope", default=())

current_scope = _scope.get


class Scoped(Generic[N]):
    """Something that holds every call made inside a `with` block, those of child tasks included."""

    __slots__ = ()

    _native: N

    def __enter__(self) -> Self:
        _scope.set((self._native, *_scope.get()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        scope = list(_scope.get())
        # Entered in this context or in one that it was copied from; innermost first, so the right one goes.
        if self._native in scope:
            scope.remove(self._native)
            _scope.set(tuple(scope))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
