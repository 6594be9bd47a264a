"""What happens to the calls of the process, as it happens."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iron_sdk._errors import ClosedError, ForkedProcessError
from iron_sdk._iron import EventReader
from iron_sdk._loop import current_port
from iron_sdk._types import Timing, Usage

if TYPE_CHECKING:
    from decimal import Decimal
    from types import TracebackType

    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. It holds no prompt, no reply, and no words of a provider."""

    at: float
    """When, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """A call has begun."""

    request_id: str
    """The call."""
    operation: str
    """`chat`, `stream` or `embed`."""
    model: str
    """The model or alias as it was given; empty for the default one."""
    agent: str | None
    """The agent that it is from, if one was named."""
    tags: tuple[str, ...]
    """What else it is from."""
    budgets: tuple[str, ...]
    """Names of the budgets that hold it, innermost first."""


@dataclass(frozen=True, slots=True)
class CallRetried(Event):
    """The same upstream is asked again."""

    request_id: str
    """The call."""
    upstream: str
    """The upstream that failed."""
    attempt: int
    """The attempt that failed, from 1."""
    code: str
    """How it failed: the `code` of an error."""
    wait: float
    """Seconds until the next attempt."""


@dataclass(frozen=True, slots=True)
class CallFellBack(Event):
    """The next upstream of the route is asked."""

    request_id: str
    """The call."""
    upstream: str
    """The upstream that is given up."""
    next_upstream: str
    """The upstream that is asked instead."""
    code: str
    """How the first failed: the `code` of an error."""


@dataclass(frozen=True, slots=True)
class CallFinished(Event):
    """A call ended with a reply."""

    request_id: str
    """The call."""
    upstream: str
    """The upstream that answered."""
    usage: Usage
    """Tokens."""
    cost: Decimal
    """What the call cost in US dollars, all attempts together."""
    settlement: str
    """How sure the cost is: as `Reply.settlement`."""
    attempts: int
    """Requests sent."""
    timing: Timing
    """Where the time went."""


@dataclass(frozen=True, slots=True)
class CallRefused(Event):
    """A budget or a limit of the configuration refused a call."""

    request_id: str
    """The call."""
    code: str
    """`budget_exceeded`, `ledger` or `rate_limited`."""
    budget: str | None
    """Name of the budget that refused."""


@dataclass(frozen=True, slots=True)
class CallFailed(Event):
    """A call ended in another error."""

    request_id: str
    """The call."""
    code: str
    """The `code` of the error."""
    upstream: str | None
    """The upstream that failed, if it was one."""
    attempts: int
    """Requests sent."""
    cost: Decimal
    """What they cost in US dollars."""


@dataclass(frozen=True, slots=True)
class CallCancelled(Event):
    """A call was cancelled, or a stream left before its end."""

    request_id: str
    """The call."""
    attempts: int
    """Requests sent."""
    cost: Decimal
    """What they cost in US dollars."""


@dataclass(frozen=True, slots=True)
class BreakerOpened(Event):
    """An upstream failed too often: its circuit breaker passes no requests for a while."""

    upstream: str
    """The upstream."""


@dataclass(frozen=True, slots=True)
class BreakerClosed(Event):
    """An upstream is well again: its circuit breaker passes requests."""

    upstream: str
    """The upstream."""


@dataclass(frozen=True, slots=True)
class BudgetLow(Event):
    """More than four fifths of a budget are spent. Told once, and again if it was raised in between."""

    budget: str
    """The budget's name."""
    limit: Decimal
    """Its limit, in US dollars like the following."""
    spent: Decimal
    """What calls have cost."""
    remaining: Decimal
    """What a new call could still reserve."""


@dataclass(frozen=True, slots=True)
class EventsDropped(Event):
    """This reader was too slow: so many events before the next one are lost to it."""

    count: int
    """How many."""


_KINDS: dict[str, type[Event]] = {
    "started": CallStarted,
    "retried": CallRetried,
    "fell_back": CallFellBack,
    "finished": CallFinished,
    "refused": CallRefused,
    "failed": CallFailed,
    "cancelled": CallCancelled,
    "breaker_opened": BreakerOpened,
    "breaker_closed": BreakerClosed,
    "budget_low": BudgetLow,
    "dropped": EventsDropped,
}
_AMOUNTS = ("cost", "limit", "spent", "remaining")


class Events:
    """Events of all clients of the process, from the making of this object until `close`.

    Iterate with `async for`, or with `for` in a thread without an event loop. Reading never slows calls down:
    up to 4,096 events wait for each reader, and a slower one is told by `EventsDropped` how many it missed.
    """

    __slots__ = ("_native", "_ready")

    def __init__(self) -> None:
        self._native = EventReader()
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
        self._ready.extend(_event(kind, at, fields) for kind, at, fields in batch if kind in _KINDS)
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


def _event(kind: str, at: float, fields: dict[str, Any]) -> Event:
    from decimal import Decimal

    for name in _AMOUNTS:
        if name in fields:
            fields[name] = Decimal(fields[name])
    if kind == "finished":
        fields["usage"] = Usage(*fields["usage"])
        fields["timing"] = Timing(*fields["timing"])
    return _KINDS[kind](at, **fields)


# Where users find a name is where tracebacks, documentation and pickles look for it.
for _kind in (Event, *_KINDS.values(), Events):
    _kind.__module__ = "iron_sdk"
