"""An agent whose tools are held to rules. Set OPENAI_API_KEY to ask the provider, not a simulator."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import iron_sdk as iron
from iron_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

QUESTION = "My tea of order A-7 came late. Please make up for it."
MAX_ROUNDS = 8
RULES = {
    "tools": {
        "allow": ["look_up", "refund"],
        "require_approval": ["refund"],
        "limits": {"refund": 1},
        "per_run": 10,
        "schemas": {"refund": {"properties": {"usd": {"maximum": 50}}}},
    }
}


def look_up(order: str) -> str:
    """Tell what is known of an order."""
    return f"{order}: one pound of tea for 21.00 USD, four days late"


def refund(order: str, usd: float) -> str:
    """Give money back."""
    return f"{usd:.2f} USD for {order} are on their way"


def describe(name: str, **fields: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {field: {"type": kind} for field, kind in fields.items()}}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS: dict[str, Callable[..., str]] = {"look_up": look_up, "refund": refund}
OFFERED = [describe("look_up", order="string"), describe("refund", order="string", usd="number")]


async def approve(request: iron.ApprovalRequest) -> bool | str:
    """Stand in for the person whom a program would ask, by mail or on a screen."""
    usd = float(request.arguments["usd"])
    print(f"may {request.agent} call {request.tool} for {usd:.0f} USD?")
    return True if usd <= 25 else "no more than 25 USD for a late parcel"


async def agent(client: iron.Client, question: str) -> str:
    messages: list[object] = [{"role": "user", "content": question}]
    for _ in range(MAX_ROUNDS):
        try:
            reply = await client.chat(messages, tools=OFFERED, max_tokens=1000)
        except iron.PolicyDeniedError as refused:
            # No tool has run, and the model may do better when it knows why.
            print(refused)
            messages.append({"role": "user", "content": f"That was refused: {refused}"})
            continue
        if not reply.tool_calls:
            return reply.text
        messages.append(reply.message)
        for call in reply.tool_calls:
            result = TOOLS[call.name](**call.parsed_arguments())
            print(f"{call.name}: {result}")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return "no answer"


@asynccontextmanager
async def connect(model: str = "openai/gpt-6-luna", budget: str = "0.10") -> AsyncIterator[iron.Client]:
    if os.environ.get("OPENAI_API_KEY"):
        async with iron.Client(RULES, model=model, budget=budget, approve=approve) as client:
            yield client
        return
    refunds = [("refund", {"order": "A-7", "usd": usd}) for usd in (500, 40, 20, 20)]
    calls: list[tuple[str, dict[str, Any]]] = [("look_up", {"order": "A-7"}), *refunds]
    replies = [{"tool_calls": [{"name": name, "arguments": given}]} for name, given in calls]
    rules: list[Any] = [{"times": 1, "reply": reply} for reply in replies]
    with Simulator(rules=[*rules, {"reply": {"text": "20 USD are on their way to you."}}]) as simulator:
        at: dict[str, Any] = {"base_url": simulator.url, "api_key": "simulated"}
        async with iron.Client(RULES, model=model, budget=budget, approve=approve, **at) as client:
            yield client


async def main() -> None:
    async with connect() as client:
        with iron.run(agent="support"):
            print(await agent(client, QUESTION))
        print(client.budget)


if __name__ == "__main__":
    asyncio.run(main())
