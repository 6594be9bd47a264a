"""Agents that research side by side, each within its own budget and all within one.

Set OPENAI_API_KEY to ask the provider instead of a simulator.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import iron_sdk as iron
from iron_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from decimal import Decimal

TOPICS = ["tea", "coffee", "cocoa", "maté", "chicory", "barley", "hibiscus", "rooibos", "guarana", "yaupon"]
QUESTIONS = ["Where does {} come from?", "How is {} made?", "Who trades in {}?", "What does {} cost?"]


class Findings(NamedTuple):
    topic: str
    answers: list[str]
    spent: Decimal
    stopped_by: str | None


async def research(client: iron.Client, topic: str) -> Findings:
    """Ask one question after the other, until all are answered or the money is gone."""
    answers: list[str] = []
    with iron.budget(usd="0.0005", name=topic) as budget:
        try:
            for question in QUESTIONS:
                reply = await client.chat(question.format(topic), max_tokens=400)
                answers.append(reply.text)
        except iron.BudgetExceededError as refusal:
            return Findings(topic, answers, budget.spent, refusal.budget)
    return Findings(topic, answers, budget.spent, None)


@asynccontextmanager
async def connect(model: str = "openai/gpt-6-luna") -> AsyncIterator[iron.Client]:
    if os.environ.get("OPENAI_API_KEY"):
        async with iron.Client(model=model) as client:
            yield client
        return
    rules = [
        {"when": {"text": "coffee"}, "reply": {"output_tokens": 380}},  # this one is long-winded
        {"reply": {"output_tokens": 150}},
    ]
    async with (
        Simulator(rules=rules, latency_ms=(5, 20)) as simulator,
        simulator.client(model=model) as client,
    ):
        yield client


async def main() -> None:
    async with connect() as client:
        with iron.budget(usd="0.003", name="swarm") as swarm:
            findings = await asyncio.gather(*(research(client, topic) for topic in TOPICS))
        for topic, answers, spent, stopped_by in findings:
            end = f"stopped by the budget of {stopped_by}" if stopped_by else "finished"
            print(f"{topic:<10}{len(answers)} answers  {spent:.9f} USD  {end}")
        print(swarm)


if __name__ == "__main__":
    asyncio.run(main())
