"""What the calls of a client came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iron_sdk._html import table
from iron_sdk._override import override
from iron_sdk._types import Usage

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Seconds that calls stayed within, at most an eighth above the truth."""

    p50: float
    """The median."""
    p90: float
    """Nine in ten calls were as fast."""
    p99: float
    """99 in a hundred calls were as fast."""


@dataclass(frozen=True, slots=True)
class UpstreamStats:
    """One upstream as a client has come to know it."""

    # Rust gives the values in the order of these fields.
    name: str
    """`provider/model`."""
    breaker: str
    """Its circuit breaker: `closed`, `open` or `half_open`."""
    closed_for: float | None
    """Seconds for which the provider asked to be left alone; None when requests may go."""
    requests: int
    """Requests sent."""
    failures: int
    """Requests that failed: no connection, a timeout, a reply that broke off, 5xx."""
    retries: int
    """Requests that repeated one before them."""
    in_flight: int
    """Requests on their way, open streams included."""
    latency: float | None
    """Seconds to the head of a reply, as a moving average; None before the first."""


@dataclass(frozen=True, slots=True)
class Stats:
    """The counters of a client at one moment, since it was made."""

    calls: int
    """Calls that have begun."""
    answered: int
    """Calls that ended with a reply."""
    refused: dict[str, int]
    """Calls that a budget or a limit of the configuration refused, by the `code` of the error."""
    failed: dict[str, int]
    """Calls that ended in any other error, by its `code`."""
    cancelled: int
    """Calls that were cancelled, and streams left before their end."""
    in_flight: int
    """Calls that have begun and not ended."""
    waiting: int
    """Calls in flight that wait for a limit, for a budget, or to try again."""
    attempts: int
    """Requests sent."""
    retries: int
    """Times that the same upstream was asked again."""
    fallbacks: int
    """Times that a call went on to the next upstream of its route."""
    repairs: int
    """Times that an answer was sent back to be repaired."""
    usage: Usage
    """What the answered calls used."""
    cost: Decimal
    """What all requests cost together, in US dollars."""
    in_doubt: Decimal
    """The part of the cost that no provider told: there the whole reservation is taken as spent."""
    total: Quantiles
    """How long answered calls took."""
    overhead: Quantiles
    """How long governing them took."""
    upstreams: tuple[UpstreamStats, ...]
    """Every upstream that was called, by name."""

    @override
    def __repr__(self) -> str:
        refused, failed = sum(self.refused.values()), sum(self.failed.values())
        return (
            f"<Stats: {self.calls} calls, {self.answered} answered, {refused} refused, {failed} failed, "
            f"{self.cancelled} cancelled, {self.in_flight} in flight, {self.cost} USD>"
        )

    def _repr_html_(self) -> str:
        return tabulate(self)


def read(fields: dict[str, Any]) -> Stats:
    """Make `Stats` of what the core gives."""
    from decimal import Decimal

    fields["usage"] = Usage(*fields["usage"])
    for name in ("cost", "in_doubt"):
        fields[name] = Decimal(fields[name])
    for name in ("total", "overhead"):
        fields[name] = Quantiles(*fields[name])
    fields["upstreams"] = tuple(UpstreamStats(*row) for row in fields["upstreams"])
    return Stats(**fields)


def tabulate(stats: Stats) -> str:
    """Show the counters in a notebook."""
    total, overhead, usage = stats.total, stats.overhead, stats.usage
    return table(
        f"{stats.calls:,} calls",
        {
            "answered": f"{stats.answered:,}",
            "refused": _by_code(stats.refused),
            "failed": _by_code(stats.failed),
            "cancelled": f"{stats.cancelled:,}",
            "in flight": f"{stats.in_flight:,}, of which {stats.waiting:,} wait",
            "requests": f"{stats.attempts:,}, {stats.retries:,} retries, {stats.fallbacks:,} fallbacks",
            "tokens": f"{usage.input_tokens:,} in, {usage.output_tokens:,} out",
            "cost": f"{stats.cost} USD, of which {stats.in_doubt} in doubt",
            "time": f"{_short(total.p50)} median, {_short(total.p90)} p90, {_short(total.p99)} p99",
            "governing": f"{_short(overhead.p50)} median, {_short(overhead.p99)} p99",
            **{upstream.name: _health(upstream) for upstream in stats.upstreams},
        },
    )


def _health(upstream: UpstreamStats) -> str:
    latency = "" if upstream.latency is None else f", {_short(upstream.latency)} to the head of a reply"
    waits = "" if upstream.closed_for is None else f", left alone for {_short(upstream.closed_for)}"
    counts = f"{upstream.requests:,} requests, {upstream.failures:,} failures"
    return f"{counts}{latency}, breaker {upstream.breaker}{waits}"


def _by_code(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {code}" for code, count in counts.items()) or "0"


def _short(seconds: float) -> str:
    for least, factor, unit in ((1, 1, "s"), (1e-3, 1e3, "ms")):
        if seconds >= least:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.0f} µs"


# As users find them.
Stats.__module__ = UpstreamStats.__module__ = Quantiles.__module__ = "iron_sdk"
