"""Text as it is written, and a stream left early. Set OPENAI_API_KEY to ask the provider, not a simulator."""

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

POEM = "Tea leaves turn and fall,\nsteam writes on the window pane,\nthe cup warms both hands."


async def write(client: iron.Client, prompt: str) -> None:
    """Show the whole reply as it comes, and what it cost."""
    async with client.stream(prompt, max_tokens=1000) as stream:
        async for chunk in stream:
            sys.stdout.write(chunk.text)
            sys.stdout.flush()
        reply = await stream.reply()
    print(f"\n-- {reply.usage.output_tokens} tokens, {reply.cost} USD, {reply.settlement}")


async def first_line(client: iron.Client, prompt: str) -> str:
    """Read until the first line is whole. Leaving the block closes the connection, and settles the call."""
    text = ""
    async with client.stream(prompt, max_tokens=1000) as stream:
        async for chunk in stream:
            text += chunk.text
            if "\n" in text:
                break
    return text.partition("\n")[0]


@asynccontextmanager
async def connect(model: str = "openai/gpt-6-luna", budget: str = "0.05") -> AsyncIterator[iron.Client]:
    if os.environ.get("OPENAI_API_KEY"):
        async with iron.Client(model=model, budget=budget) as client:
            yield client
        return
    rules = [{"reply": {"text": POEM}}]
    async with (
        Simulator(rules=rules, tokens_per_second=100) as simulator,
        simulator.client(model=model, budget=budget) as client,
    ):
        yield client


async def main() -> None:
    async with connect() as client:
        await write(client, "A haiku about tea, please.")
        print("first line only:", await first_line(client, "A haiku about tea, please."))
    print(client.budget)


if __name__ == "__main__":
    asyncio.run(main())
