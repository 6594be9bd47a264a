"""A batch with a progress bar, fed by what the client counts. Set OPENAI_API_KEY to ask the provider."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import iron_sdk as iron
from iron_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUESTIONS = [f"What is {a} times {b}?" for a in range(2, 8) for b in range(2, 8)]
AT_ONCE = 8
WIDTH = 30


def draw(client: iron.Client, total: int) -> None:
    """Draw the bar over itself: where nobody watches, not at all."""
    if not sys.stderr.isatty():
        return
    stats = client.stats()
    ended = stats.calls - stats.in_flight
    bar = "█" * (WIDTH * ended // total)
    sys.stderr.write(f"\r{bar:·<{WIDTH}} {ended}/{total}  {stats.cost} USD  {stats.retries} retries\033[K")
    sys.stderr.flush()


async def show_progress(client: iron.Client, events: iron.Events, total: int) -> None:
    async for _ in events:
        draw(client, total)
    draw(client, total)
    if sys.stderr.isatty():
        sys.stderr.write("\n")


async def answer(client: iron.Client, places: asyncio.Semaphore, question: str) -> str | None:
    async with places:
        try:
            return (await client.chat(question, max_tokens=200)).text
        except iron.IronError as error:
            print(f"{question} {error}", file=sys.stderr)
            return None


@asynccontextmanager
async def connect(model: str = "openai/gpt-6-luna", budget: str = "0.05") -> AsyncIterator[iron.Client]:
    if os.environ.get("OPENAI_API_KEY"):
        async with iron.Client(model=model, budget=budget) as client:
            yield client
        return
    rules = [{"every": 7, "fault": {"kind": "status", "status": 503}}]  # retried, out of sight
    async with (
        Simulator(rules=rules, latency_ms=(10, 60)) as simulator,
        simulator.client(model=model, budget=budget) as client,
    ):
        yield client


async def main() -> None:
    places = asyncio.Semaphore(AT_ONCE)
    async with connect() as client:
        with iron.events() as events:
            progress = asyncio.create_task(show_progress(client, events, len(QUESTIONS)))
            answers = await asyncio.gather(*(answer(client, places, question) for question in QUESTIONS))
        await progress
        answered = [answer for answer in answers if answer is not None]
        print(f"{len(answered)} of {len(QUESTIONS)} answered, the first of them: {answered[0].strip()}")
        print(client.budget)


if __name__ == "__main__":
    asyncio.run(main())
