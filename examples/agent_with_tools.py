"""An agent that calls tools until it can answer. Set OPENAI_API_KEY to ask the provider, not a simulator."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import iron_sdk as iron
from iron_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUESTION = "Is it warmer in Oslo or in Rome?"
MAX_ROUNDS = 5


def temperature(city: str) -> str:
    """Look up what a thermometer says; here, in a table."""
    celsius = {"Oslo": 4.0, "Rome": 18.5}
    return f"{celsius[city]} degrees" if city in celsius else f"no thermometer in {city}"


TOOLS = {"temperature": temperature}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DESCRIPTIONS = [
    {"type": "function", "function": {"name": name, "description": tool.__doc__, "parameters": PARAMETERS}}
    for name, tool in TOOLS.items()
]


def run(call: iron.ToolCall) -> str:
    """Run one tool. What the model got wrong goes back to it, so that it can do better."""
    try:
        return TOOLS[call.name](**call.parsed_arguments())
    except (KeyError, TypeError, ValueError) as error:
        return f"error: {error!r}"


async def agent(client: iron.Client, question: str) -> str:
    messages: list[object] = [{"role": "user", "content": question}]
    for _ in range(MAX_ROUNDS):
        reply = await client.chat(messages, tools=DESCRIPTIONS, max_tokens=1000)
        if not reply.tool_calls:
            return reply.text
        messages.append(reply.message)
        for call in reply.tool_calls:
            result = run(call)
            print(f"{call.name}({call.arguments}) -> {result}")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return f"no answer after {MAX_ROUNDS} rounds"


@asynccontextmanager
async def connect(model: str = "openai/gpt-6-luna", budget: str = "0.05") -> AsyncIterator[iron.Client]:
    if os.environ.get("OPENAI_API_KEY"):
        async with iron.Client(model=model, budget=budget) as client:
            yield client
        return
    asked = [{"name": "temperature", "arguments": {"city": city}} for city in ("Oslo", "Rome")]
    rules = [{"times": 1, "reply": {"tool_calls": asked}}, {"reply": {"text": "In Rome, by 14.5 degrees."}}]
    async with Simulator(rules=rules) as simulator, simulator.client(model=model, budget=budget) as client:
        yield client


async def main() -> None:
    async with connect() as client:
        print(await agent(client, QUESTION))
        print(client.budget)


if __name__ == "__main__":
    asyncio.run(main())
