"""Readers of what happens to the calls of the process, as it happens."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from iron_sdk._errors import ClosedError, ForkedProcessError
from iron_sdk._happened import KINDS, Event, event_of
from iron_sdk._loop import current_port

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from iron_sdk._iron import EventReader


class Events:
    """Events of all clients of the process, or of one, from the making of this object until its `close`.

    Those of one client end with it too: once it is closed and its last call has ended. Iterate with
    `async for`, or with `for` in a thread without an event loop. Reading never slows calls down: up to 4,096
    events wait for each reader, and a slower one is told by `EventsDropped` how many it missed.
    """

    __slots__ = ("_native", "_ready")

    def __init__(self, native: EventReader) -> None:
        self._native = native
        self._ready: deque[Event] = deque()

    def close(self) -> None:
        """Read no more: iteration ends, also where another task or thread waits in it."""
        self._native.close()
        self._ready.clear()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            if self._advance():
                await self._wait()
            elif not self._ready:
                raise StopAsyncIteration
        return self._ready.popleft()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while not self._ready:
            if self._advance():
                self._wait_blocking()
            elif not self._ready:
                raise StopIteration
        return self._ready.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _advance(self) -> bool:
        """Take what has come: whether there was nothing, but may be."""
        batch = self._native.take()
        if batch is None:
            return True
        self._ready.extend(event_of(kind, at, fields) for kind, at, fields in batch if kind in KINDS)
        # All of them may have been of kinds that are not known here.
        return bool(batch) and not self._ready

    async def _wait(self) -> None:
        port = current_port()
        future = port.loop.create_future()
        slot = self._native.wait(port, future)
        try:
            await future
        except BaseException:
            port.cancel(slot)
            raise

    def _wait_blocking(self) -> None:
        try:
            self._native.wait_blocking()
        except ForkedProcessError:
            raise
        except ClosedError:
            # The process is at its end, and nothing more will happen.
            self.close()


# Where users find a name is where tracebacks, documentation and pickles look for it.
Events.__module__ = "iron_sdk"
