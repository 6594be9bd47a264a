"""A program as users write it: type checkers find the types that it says, and it runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from typing_extensions import assert_type

import iron_sdk as iron

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class City:
    name: str


class Town(TypedDict):
    name: str


async def calls(client: iron.Client) -> None:
    reply = await client.chat("Hello", max_tokens=20, temperature=0.5, stop=["."])
    assert_type(reply, iron.Reply[None])
    assert_type(reply.text, str)
    assert_type(reply.cost, Decimal)
    assert_type(reply.usage.output_tokens, int)
    assert_type(reply.tool_calls, tuple[iron.ToolCall, ...])
    messages: list[object] = [{"role": "user", "content": "Hello"}, reply.message]
    parsed = await client.chat(messages, response_format=City)
    assert_type(parsed, iron.Reply[City])
    assert_type(parsed.parsed, City | None)
    town = await client.chat(messages, response_format=Town)
    assert_type(town.parsed, Town | None)
    vectors = await client.embed(["a", "b"], model="openai/text-embedding-3-small")
    assert_type(vectors[0], list[float])


async def streams(client: iron.Client) -> None:
    async with client.stream("Hello", response_format=City) as stream:
        assert_type(stream, iron.ChatStream[City])
        async for chunk in stream:
            assert_type(chunk, iron.Chunk)
            assert_type(chunk.text, str)
        assert_type(await stream.reply(), iron.Reply[City])


def decides(request: iron.ApprovalRequest) -> bool | str:
    assert_type(request.tool, str)
    assert_type(request.agent, str | None)
    return True if request.tool == "search" else "it may search alone"


async def decides_later(request: iron.ApprovalRequest) -> bool:
    return decides(request) is True


async def approvals(client: iron.Client) -> None:
    iron.Client({}, approve=decides)
    await client.chat("Hello", approve=decides)
    await client.chat("Hello", approve=decides_later)
    await client.chat("Hello", approve=lambda request: request.tool == "search")


def blocking(client: iron.SyncClient) -> None:
    assert_type(client.chat("Hello"), iron.Reply[None])
    for chunk in client.stream("Hello"):
        assert_type(chunk.finish_reason, str | None)


async def budgets(client: iron.Client) -> None:
    with iron.budget(usd="0.50", name="research") as budget:
        assert_type(budget, iron.Budget)
        await client.chat("Hello", max_cost=Decimal("0.01"))
    assert_type(budget.spent, Decimal)
    async with iron.budget(1):
        pass
    assert_type(client.budget, iron.Budget | None)


async def watching(client: iron.Client) -> None:
    assert_type(client.stats().refused, dict[str, int])
    assert_type(client.events(), iron.Events)
    async with iron.events() as events:
        await client.chat("Hello")
        async for event in events:
            if isinstance(event, iron.CallFinished):
                assert_type(event.cost, Decimal)
                break
            if isinstance(event, iron.LeaseClosed):
                assert_type(event.returned, Decimal)
                assert_type(event.reason, str)


def errors(make: Callable[[], object]) -> float | None:
    try:
        make()
    except iron.BudgetExceededError as refusal:
        assert_type(refusal.limit, Decimal | None)
    except iron.RateLimitError as refusal:
        assert_type(refusal.retry_after, float | None)
        return refusal.retry_after
    except iron.IronError as error:
        assert_type(error.request_id, str | None)
    return None


async def main(client: iron.Client, other: iron.SyncClient) -> None:
    """Run all of it."""
    await calls(client)
    await streams(client)
    await asyncio.to_thread(blocking, other)
    await approvals(client)
    await budgets(client)
    await watching(client)
    errors(lambda: other.chat("Hello", model="openai/gpt-6-luna"))
