"""The summary of a run: what became of the calls, where the money went, and whether the books agree."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from iron_sdk._demo.providers import PROVIDERS
from iron_sdk._demo.screen import usd

if TYPE_CHECKING:
    from iron_sdk._demo.screen import Screen
    from iron_sdk._demo.tally import Tally

_LABEL_COLUMNS = 12


def opening(screen: Screen, agents: int, limit: Decimal, seed: int) -> None:
    """Say what is about to run.

    Args:
        screen: Where to.
        agents: How many agents there are.
        limit: What they may spend together, in US dollars.
        seed: The seed.
    """
    dot = screen.sign("·", "-")
    title = screen.style("iron demo", "bold")
    screen.write(f"\n{title} {dot} {agents:,} agents on a budget of {usd(limit)} {dot} seed {seed}\n\n")
    for provider in PROVIDERS:
        screen.write(f"  {provider.name:<{_LABEL_COLUMNS - 2}}{screen.style(provider.character, 'dim')}\n")


class Summary:
    """What a run came to."""

    def __init__(self, tally: Tally, bills: dict[str, Decimal], faults: Counter[str], seconds: float) -> None:
        self._tally = tally
        self._bills = bills
        self._faults = faults
        self._seconds = seconds
        self._served = sum(bills.values(), Decimal(0))

    @property
    def broken(self) -> list[str]:
        """What does not hold and should."""
        tally = self._tally
        broken: list[str] = []
        if tally.excess is not None:
            broken.append(f"while it ran: {tally.excess}")
        if self._served > tally.spent:
            broken.append(
                f"the providers served {usd(self._served)}, more than the {usd(tally.spent)} settled"
            )
        if tally.spent > tally.limit:
            broken.append(f"{usd(tally.spent)} were settled, more than the limit of {usd(tally.limit)}")
        if tally.held:
            broken.append(f"{usd(tally.held)} are still held, and no call is in flight")
        return broken

    def write(self, screen: Screen) -> None:
        """Write it for people.

        Args:
            screen: Where to.
        """
        rows = [*self._calls(screen), *self._upstreams(screen), *self._money(screen), *self._time(screen)]
        screen.write("\n".join([*rows, ""]) + "\n")

    def _calls(self, screen: Screen) -> list[str]:
        tally = self._tally
        dot = f" {screen.sign('·', '-')} "
        names = {"plain": "plain", "streamed": "streamed", "tool": "with tools"}
        sorts = dot.join(f"{tally.answered[sort]:,} {name}" for sort, name in names.items())
        by = dot.join(f"{count:,} by {name}" for name, count in sorted(tally.refused.items()))
        failed = dot.join(f"{count:,} {code}" for code, count in sorted(tally.failed.items()))
        peak = f"calls in flight at the most{dot}{tally.chunks:,} chunks of streams"
        return [
            _heading(screen, "Calls"),
            _row("answered", f"{sum(tally.answered.values()):,}", sorts),
            _row("refused", f"{sum(tally.refused.values()):,}", by or "none"),
            _row("left", f"{tally.left:,}", "streams that their reader left before the end"),
            _row("failed", f"{sum(tally.failed.values()):,}", failed or "none"),
            _row("at once", f"{tally.most_in_flight:,}", peak),
        ]

    def _upstreams(self, screen: Screen) -> list[str]:
        tally = self._tally
        dot = f" {screen.sign('·', '-')} "
        others = self._faults - Counter({"429": self._faults["429"]})
        kinds = dot.join(f"{count:,} {kind}" for kind, count in sorted(others.items()))
        return [
            _heading(screen, "Upstreams"),
            _row("retries", f"{tally.retries:,}", "the same upstream asked again"),
            _row("fallbacks", f"{tally.fallbacks:,}", "the next upstream of the route asked instead"),
            _row("429s", f"{self._faults['429']:,}", "each waited for as its Retry-After said"),
            _row("faults", f"{sum(others.values()):,}", kinds or "none"),
        ]

    def _money(self, screen: Screen) -> list[str]:
        tally = self._tally
        share = 100 * tally.spent / tally.limit if tally.limit else Decimal(0)
        order = screen.sign("served ≤ settled ≤ limit", "served <= settled <= limit")
        ok = screen.style(f"{screen.sign('✓', 'ok')} {order}", "green", "bold")
        wrong = (screen.style(f"{screen.sign('✗', 'BROKEN')} {what}", "red", "bold") for what in self.broken)
        return [
            _heading(screen, "Money"),
            _row("limit", usd(tally.limit), ""),
            _row("settled", usd(tally.spent), f"{share:.1f} % of the limit"),
            _row("served", usd(self._served), "by the providers' own count, priced apart"),
            _row(
                "in doubt",
                usd(tally.spent - self._served),
                "the rest: calls that stalled, broke or were left",
            ),
            *(
                [f"  {line}" for line in wrong]
                or [f"  {ok}   {tally.looks:,} looks while it ran found no excess"]
            ),
        ]

    def _time(self, screen: Screen) -> list[str]:
        micros = sorted(seconds * 1e6 for seconds in self._tally.overhead)
        unit = screen.sign("µs", "us")
        dot = f" {screen.sign('·', '-')} "
        shown = dot.join(f"p{percent} {_percentile(micros, percent):,.0f} {unit}" for percent in (50, 95, 99))
        return [
            _heading(screen, "Time"),
            f"  {'overhead':<{_LABEL_COLUMNS - 2}}{shown}   of governing a call",
            f"  {'in all':<{_LABEL_COLUMNS - 2}}{self._seconds:.2f} s",
        ]


def _heading(screen: Screen, text: str) -> str:
    return f"\n{screen.style(text, 'bold', 'cyan')}"


def _row(label: str, figure: str, note: str) -> str:
    return f"  {label:<{_LABEL_COLUMNS - 2}}{figure:>7}   {note}".rstrip()


def _percentile(ordered: list[float], percent: int) -> float:
    """The smallest value that so many of a hundred do not exceed; 0 of none."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0.0
