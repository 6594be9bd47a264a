"""What can happen: the events that readers get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iron_sdk._types import Timing, Usage

if TYPE_CHECKING:
    from decimal import Decimal


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
class CallRepaired(Event):
    """An answer that is not what `response_format` asks for is sent back, for the model to repair it."""

    request_id: str
    """The call."""
    upstream: str
    """The upstream that answered."""
    repair: int
    """Which repair of the call it is, from 1."""
    violations: int
    """In how many places the answer is wrong."""


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
class LeaseTaken(Event):
    """This process has leased a part of a budget in a ledger file."""

    lease_id: str
    """The lease, as `iron budget show` names it."""
    budget: str
    """The budget's name."""
    window: str
    """The budget's window: `lifetime`, `monthly`, `weekly` or `daily`."""
    amount: Decimal
    """What was leased, in US dollars."""
    renewal: bool
    """It was taken before what there was ran out; otherwise calls waited for it."""


@dataclass(frozen=True, slots=True)
class LeaseClosed(Event):
    """A lease of this process has come to its end."""

    lease_id: str
    """The lease."""
    budget: str
    """The budget's name."""
    window: str
    """The budget's window."""
    amount: Decimal
    """What was leased, in US dollars like the following."""
    spent: Decimal
    """What calls have cost, or may have."""
    returned: Decimal
    """What went back to the budget, or expired with its window."""
    reason: str
    """Why it ended.

    `spent` to its end; `window_over`; `idle`: no call for 10 s; `wanted` by another process; `worn`: the
    next one took its place after 50,000 requests; `given_back`: a client was closed, nobody uses the budget,
    or the process ends; `fault`: its journal or the ledger file cannot be used.
    """


@dataclass(frozen=True, slots=True)
class LeaseRecovered(Event):
    """A process died that had a lease, and this process has settled it by its journal."""

    lease_id: str
    """The lease."""
    budget: str
    """The budget's name."""
    window: str
    """The budget's window."""
    amount: Decimal
    """What was leased, in US dollars; the following is what of it had not been reported."""
    pid: int
    """The process that had it."""
    settled: Decimal
    """What its calls had cost."""
    in_doubt: Decimal
    """What calls may have cost that were under way."""
    returned: Decimal
    """What went back to the budget."""
    lost: Decimal
    """What may have been spent without a trace, and counts as spent."""


@dataclass(frozen=True, slots=True)
class LeaseLost(Event):
    """A lease of this process became a loss: another process found its journal gone."""

    lease_id: str
    """The lease."""
    budget: str
    """The budget's name."""
    window: str
    """The budget's window."""
    amount: Decimal
    """What was leased, in US dollars."""


@dataclass(frozen=True, slots=True)
class EventsDropped(Event):
    """This reader was too slow: so many events before the next one are lost to it."""

    count: int
    """How many."""


KINDS: dict[str, type[Event]] = {
    "started": CallStarted,
    "retried": CallRetried,
    "fell_back": CallFellBack,
    "repaired": CallRepaired,
    "finished": CallFinished,
    "refused": CallRefused,
    "failed": CallFailed,
    "cancelled": CallCancelled,
    "breaker_opened": BreakerOpened,
    "breaker_closed": BreakerClosed,
    "budget_low": BudgetLow,
    "lease_taken": LeaseTaken,
    "lease_closed": LeaseClosed,
    "lease_recovered": LeaseRecovered,
    "lease_lost": LeaseLost,
    "dropped": EventsDropped,
}
_AMOUNTS = (
    *("amount", "cost", "limit", "spent", "remaining"),
    *("settled", "in_doubt", "returned", "lost"),
)


def event_of(kind: str, at: float, fields: dict[str, Any]) -> Event:
    """Make an event of what the core tells."""
    from decimal import Decimal

    for name in _AMOUNTS:
        if name in fields:
            fields[name] = Decimal(fields[name])
    if kind == "finished":
        fields["usage"] = Usage(*fields["usage"])
        fields["timing"] = Timing(*fields["timing"])
    return KINDS[kind](at, **fields)


# Where users find a name is where tracebacks, documentation and pickles look for it.
for _kind in (Event, *KINDS.values()):
    _kind.__module__ = "iron_sdk"
