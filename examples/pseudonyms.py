"""A letter to somebody whom the provider never hears of.

With OPENAI_API_KEY set it asks OpenAI; without it, a simulator on this machine.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import iron_sdk as iron
from iron_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODEL = "openai/gpt-6-luna"
RULES = [
    # What is looked up in the web is somebody else's to read.
    {"name": "web", "what": ["pii"], "tools": ["web_*"], "direction": ["tool_arguments"], "action": "redact"},
    {"name": "customers", "what": ["pii"], "action": "pseudonymize"},
]
CUSTOMER = "jane.doe@example.org"
QUESTION = f"{CUSTOMER} is charged twice. Look up whether others are too, and write to her."


def tool(name: str, *parameters: str) -> dict[str, object]:
    """Describe a tool whose parameters are texts."""
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [tool("web_search", "query"), tool("send_mail", "to", "text")]
# What a model may answer. It knows no address, and does not copy each placeholder exactly.
SCRIPT = [
    {
        "reply": {
            "tool_calls": [
                {"name": "web_search", "arguments": {"query": "charged twice [EMAIL_ADDRESS_1]"}},
                {"name": "send_mail", "arguments": {"to": "[EMAIL_ADDRESS_1]", "text": "We look into it."}},
            ]
        },
        "times": 1,
    },
    {"reply": {"text": "I have written to **EMAIL_ADDRESS_1**."}},
]


@asynccontextmanager
async def connect(budget: str = "0.05") -> AsyncIterator[tuple[iron.Client, Simulator | None]]:
    settings = {"policy": {"rules": RULES}}
    if os.environ.get("OPENAI_API_KEY"):
        async with iron.Client(settings, model=MODEL, budget=budget) as client:
            yield client, None
        return
    with Simulator(rules=SCRIPT) as simulator:
        async with iron.Client(
            settings, model=MODEL, budget=budget, base_url=simulator.url, api_key="simulated"
        ) as client:
            yield client, simulator


async def main() -> None:
    async with connect() as (client, simulator):
        # One run: the customer has the same placeholder in both calls.
        with iron.run(agent="support"):
            messages: list[dict[str, object]] = [{"role": "user", "content": QUESTION}]
            reply = await client.chat(messages, tools=TOOLS, max_tokens=300)
            messages.append(dict(reply.message))
            for call in reply.tool_calls:
                print(f"{call.name}: {call.parsed_arguments()}")
                messages.append({"role": "tool", "tool_call_id": call.id, "content": "done"})
            async with client.stream(messages, tools=TOOLS, max_tokens=300) as stream:
                async for chunk in stream:
                    print(chunk.text, end="")
            print()
        if simulator is not None:
            seen = json.dumps(simulator.requests())
            print(f"The provider saw [EMAIL_ADDRESS_1]: {'[EMAIL_ADDRESS_1]' in seen}")
            print(f"The provider saw the address: {CUSTOMER in seen}")
    print(client.budget)


if __name__ == "__main__":
    asyncio.run(main())
