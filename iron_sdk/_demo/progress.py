"""The progress of a run: one block of lines, written over as it changes, where a terminal shows it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from iron_sdk._demo.screen import usd

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from iron_sdk._demo.screen import Screen
    from iron_sdk._demo.tally import Tally

# Twenty looks a second: smooth to the eye, and nothing beside what the calls cost.
_LOOK_SECONDS = 0.05

_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Progress:
    """Looks at the tally while calls run, and shows it; leaves the screen as it found it."""

    def __init__(self, screen: Screen, tally: Tally, agents: int, *, shown: bool) -> None:
        self._screen = screen
        self._tally = tally
        self._agents = agents
        self._shown = shown and screen.moves_cursor
        self._began = time.monotonic()
        self._lines = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._shown:
            self._screen.write(_HIDE_CURSOR)
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._shown:
            self._erase()
            self._screen.write(_SHOW_CURSOR)
            self._screen.flush()

    async def _watch(self) -> None:
        while True:
            self._tally.look()
            if self._shown:
                self._draw()
            await asyncio.sleep(_LOOK_SECONDS)

    def _draw(self) -> None:
        self._erase()
        lines = block(self._screen, self._tally, self._agents, time.monotonic() - self._began)
        self._lines = len(lines)
        self._screen.write("".join(f"{line}\n" for line in lines))
        self._screen.flush()

    def _erase(self) -> None:
        if self._lines:
            self._screen.write(f"\x1b[{self._lines}F\x1b[J")
        self._lines = 0


def block(screen: Screen, tally: Tally, agents: int, seconds: float) -> list[str]:
    """Write the lines of the block.

    Args:
        screen: Where they are shown.
        tally: What they show.
        agents: How many agents there are.
        seconds: Since the run began.

    Returns:
        Lines no wider than the screen.
    """
    counts = (
        ("answered", sum(tally.answered.values())),
        ("in flight", tally.in_flight),
        ("refused", sum(tally.refused.values())),
        ("retried", tally.retries + tally.fallbacks),
    )
    figures = "   ".join(f"{screen.style(f'{count:>5,}', 'bold')} {name}" for name, count in counts)
    share = f"{usd(tally.spent)} of {usd(tally.limit)}"
    width = max(10, screen.columns - len(share) - 7)
    bar = screen.bar(width, spent=tally.spent, held=tally.held, limit=tally.limit)
    return [
        "",
        f"  {agents:,} agents at work for {seconds:.1f} s",
        f"  {figures}",
        f"  {bar}  {share}",
    ]
