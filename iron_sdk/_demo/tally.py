"""The tally: what became of every call, and looks at the money while it moves."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from iron_sdk import BudgetExceededError, NoUpstreamError

if TYPE_CHECKING:
    from decimal import Decimal

    from iron_sdk import Client, IronError, Reply


class Tally:
    """Counts of one run."""

    def __init__(self, client: Client) -> None:
        self._client = client
        budget = client.budget
        if budget is None:
            raise ValueError("the demo's client has no limit")
        self._budget = budget
        self.limit: Decimal = budget.limit
        self.answered: Counter[str] = Counter()
        """By sort: plain, streamed, tool."""
        self.refused: Counter[str] = Counter()
        """By the budget that could not pay."""
        self.failed: Counter[str] = Counter()
        """By the error's code."""
        self.left = 0
        """Streams that their reader left before the end."""
        self.chunks = 0
        self.overhead: list[float] = []
        """Seconds a call."""
        self.looks = 0
        self.excess: str | None = None
        """What was seen when the invariant did not hold."""
        self.most_in_flight = 0
        self.spent: Decimal = budget.spent
        self.held: Decimal = budget.held

    @property
    def in_flight(self) -> int:
        """Calls that have begun and not ended."""
        return self._client.in_flight

    @property
    def retries(self) -> int:
        """Times that the same upstream was asked again."""
        return self._client.stats().retries

    @property
    def fallbacks(self) -> int:
        """Times that the next upstream of a route was asked instead."""
        return self._client.stats().fallbacks

    def answer(self, sort: str, reply: Reply[Any]) -> None:
        """Count a call that was answered.

        Args:
            sort: `plain`, `streamed` or `tool`.
            reply: The reply.
        """
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.answered[sort] += 1
        self.overhead.append(reply.timing.overhead)

    def miss(self, error: IronError) -> None:
        """Count a call that was refused or failed.

        Args:
            error: Why.
        """
        last = error.failures[-1] if isinstance(error, NoUpstreamError) and error.failures else error
        if isinstance(last, BudgetExceededError):
            # The first upstream failed, and there was no money for the next.
            error = last
        if isinstance(error, BudgetExceededError):
            # "researcher-017" is one of the researchers.
            self.refused[error.budget.partition("-")[0]] += 1
        else:
            self.failed[error.code] += 1

    def look(self) -> None:
        """Read the client's budget as it stands at this instant, and check it."""
        # Spent first: it only grows, so that the sum is never more than what stood at the second read.
        self.spent = self._budget.spent
        self.held = self._budget.held
        self.looks += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if self.spent + self.held > self.limit:
            self.excess = f"{self.spent} USD spent and {self.held} held of a limit of {self.limit}"
