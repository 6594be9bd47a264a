"""Agents that are held to different rules. Set OPENAI_API_KEY to ask the provider, not a simulator."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import iron_sdk as iron
from iron_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RULES = [
    {"name": "interns", "agents": ["intern-*"], "not_models": ["openai/gpt-6-luna"], "action": "block"},
    {"name": "support", "what": ["CREDIT_CARD"], "agents": ["support"], "action": "mask"},
    {"name": "cards", "what": ["CREDIT_CARD"], "direction": ["input"], "action": "redact"},
]
QUESTION = "Was 4111 1111 1111 1111 charged?"


async def ask(client: iron.Client, agent: str, **options: str) -> None:
    """Ask as an agent, and tell what the rules made of the question."""
    with iron.run(agent=agent):
        try:
            reply = await client.chat(QUESTION, max_tokens=100, **options)
        except iron.PolicyDeniedError as denied:
            print(f"{agent}: refused by rule {denied.rule!r}")
            return
    told = ", ".join(f"{found.action} {found.entity} in {found.direction}" for found in reply.findings)
    print(f"{agent}: {told}")


@asynccontextmanager
async def connect(model: str = "openai/gpt-6-luna", budget: str = "0.05") -> AsyncIterator[iron.Client]:
    settings = {"policy": {"rules": RULES}}
    if os.environ.get("OPENAI_API_KEY"):
        async with iron.Client(settings, model=model, budget=budget) as client:
            yield client
        return
    with Simulator(rules=[{"reply": {"text": "It was."}}]) as simulator:
        async with iron.Client(
            settings, model=model, budget=budget, base_url=simulator.url, api_key="simulated"
        ) as client:
            yield client


async def main() -> None:
    async with connect() as client:
        await ask(client, "planner")
        await ask(client, "support")
        await ask(client, "intern-1", model="openai/gpt-5")
        # A policy of the block holds beside that of the client, and the stricter one decides.
        with iron.policy([{"name": "quiet", "what": ["pii"], "action": "allow"}]):
            await ask(client, "planner")
    print(client.budget)


if __name__ == "__main__":
    asyncio.run(main())
