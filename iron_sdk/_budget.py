"""Budgets: a limit on what all calls made inside a `with` block cost together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iron_sdk import _iron
from iron_sdk._html import bar, table
from iron_sdk._override import override
from iron_sdk._scope import Scoped

if TYPE_CHECKING:
    import os
    from decimal import Decimal
    from typing import Literal, TypeAlias

    from iron_sdk._types import Money

    Window: TypeAlias = Literal["daily", "weekly", "monthly", "lifetime"]


class Budget(Scoped["_iron.Budget"]):
    """A limit on what calls cost together, exact to the nano-dollar.

    Entered with `with` or `async with`, it holds every call made inside, those of child tasks included.
    Budgets nest: a call is held to all of them. The same budget may be entered several times, also at once.

    At every instant `spent + held <= limit`, unless a provider bills more than the bound it publishes.

    A budget that is kept in a ledger file is shared by all processes that name it: `spent` and `remaining`
    are then those of all of them in this window, as they have reported it, a second ago at most; `held` is
    this process's own.
    """

    __slots__ = ("_native",)

    def __init__(
        self,
        usd: Money | _iron.Budget,
        *,
        name: str = "budget",
        window: Window | None = None,
        ledger: str | os.PathLike[str] | None = None,
    ) -> None:
        # A native budget is one that a client has already.
        self._native: _iron.Budget = (
            usd if isinstance(usd, _iron.Budget) else _iron.Budget(name, usd, window, ledger)
        )

    @property
    def name(self) -> str:
        """What the budget is called in messages."""
        return self._native.snapshot()[0]

    @property
    def limit(self) -> Decimal:
        """The most that calls may cost, in US dollars."""
        return _decimal(self._native.snapshot()[1])

    @property
    def spent(self) -> Decimal:
        """What calls have cost, in US dollars."""
        return _decimal(self._native.snapshot()[2])

    @property
    def held(self) -> Decimal:
        """What calls in flight in this process may still cost, in US dollars."""
        return _decimal(self._native.snapshot()[3])

    @property
    def remaining(self) -> Decimal:
        """What a new call could still reserve, in US dollars."""
        return _decimal(self._native.snapshot()[5])

    def set_limit(self, usd: Money) -> None:
        """Raise or lower the limit; what is spent or held stays so.

        Args:
            usd: The new limit in US dollars.

        Raises:
            ConfigError: The amount is negative, a float, or finer than a nano-dollar.
            LedgerError: The budget is kept in a ledger file that cannot be used.
        """
        self._native.set_limit(usd)

    def _repr_html_(self) -> str:
        return draw(self._native)

    @override
    def __repr__(self) -> str:
        name, limit, spent, held, _, _ = self._native.snapshot()
        return f"<Budget {name!r}: {spent} spent, {held} held of {limit} USD>"


def draw(native: _iron.Budget) -> str:
    """Show a budget in a notebook: a bar of what is spent and, fainter, held; and the amounts."""
    name, limit, spent, held, _, remaining = native.snapshot()
    rows = {
        "spent": f"{spent} USD",
        "held": f"{held} USD by calls in flight",
        "remaining": f"{remaining} USD",
        "limit": f"{limit} USD",
    }
    return table(f"Budget {name}", rows, above=bar(_decimal(limit), _decimal(spent), _decimal(held)))


def _decimal(amount: str) -> Decimal:
    from decimal import Decimal

    return Decimal(amount)


def budget(
    usd: Money,
    *,
    name: str = "budget",
    window: Window | None = None,
    ledger: str | os.PathLike[str] | None = None,
) -> Budget:
    """Hold every call made inside a `with` block to a limit.

    A call that could never fit raises `BudgetExceededError` before anything is sent. One that would fit once
    calls in flight have settled waits for them, in order, up to its timeout.

    Args:
        usd: The limit in US dollars: text such as `"0.50"`, a Decimal, or an int of whole dollars.
        name: What the budget is called in messages, and in the ledger file.
        window: `"daily"`, `"weekly"`, `"monthly"` (UTC; weeks begin on Monday) or `"lifetime"`: keep the
            budget in the ledger file, shared by all processes that give the same name and window. The limit
            given last holds for all. Default: only in memory, for as long as the object lives.
        ledger: Path of the ledger file. Default: `IRON_BUDGET_LEDGER`, or else `iron/ledger.db` in
            `$XDG_STATE_HOME` or `~/.local/state`. Given alone, the window is `"lifetime"`.

    Returns:
        A budget to enter with `with` or `async with`.

    Raises:
        ConfigError: The amount is negative, a float, or finer than a nano-dollar; the window is unknown.
        LedgerError: The ledger file cannot be used.

    Examples:
        >>> import iron_sdk as iron
        >>> with iron.budget(usd="0.50", name="research") as budget:
        ...     print(budget.remaining)
        0.50
    """
    return Budget(usd, name=name, window=window, ledger=ledger)
