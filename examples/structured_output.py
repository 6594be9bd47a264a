"""Replies that have to fit a schema, and a model that is told what is wrong with its answer.

With OPENAI_API_KEY set it calls OpenAI; without it, a simulator whose first answers do not fit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass

import iron_sdk as iron
from iron_sdk.testing import Simulator

MODEL = "openai/gpt-6-luna"
ANSWERS = [
    "It is Oslo.",
    '{"name": "Oslo", "inhabitants": "many"}',
    '{"name": "Oslo", "inhabitants": 717710}',
]


@dataclass
class City:
    name: str
    inhabitants: int


async def ask(client: iron.Client, question: str, repairs: int) -> None:
    """Ask for a city, and show what came of it."""
    try:
        reply = await client.chat(question, response_format=City, max_repairs=repairs, max_tokens=500)
    except iron.OutputInvalidError as error:
        print(f"{repairs} repairs: invalid for {error.cost} USD")
        for violation in error.violations:
            print(f"  {violation}")
        return
    print(f"{repairs} repairs: {reply.parsed} for {reply.cost} USD, {reply.attempts} requests")


async def main() -> None:
    async with contextlib.AsyncExitStack() as stack:
        options: dict[str, str] = {}
        if not os.environ.get("OPENAI_API_KEY"):
            simulator = await stack.enter_async_context(Simulator(rules=[{"reply": {"text": ANSWERS}}]))
            options = {"base_url": simulator.url, "api_key": "simulated"}
        client = await stack.enter_async_context(iron.Client({}, model=MODEL, budget="0.10", **options))
        await ask(client, "What is the largest city of Norway?", repairs=1)
        # The answers of the simulator go round: the third is right, and of the next three again the third.
        await ask(client, "And how many live there?", repairs=0)
        await ask(client, "What was the first question?", repairs=2)
        print(client.budget)


if __name__ == "__main__":
    asyncio.run(main())
