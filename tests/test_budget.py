"""Budgets: nested, shared by tasks, exact."""

from __future__ import annotations

import asyncio
from decimal import Decimal, localcontext

import pytest
from waiting import in_progress, until

import iron_sdk as iron

STALL = {"fault": {"kind": "stall", "at": "before_headers"}}


async def test_a_budget_holds_what_is_called_inside(iron_client):
    with iron.budget(usd="0.50", name="research") as budget:
        reply = await iron_client.chat("Hello")
        assert budget.spent == reply.cost > 0
    await iron_client.chat("Hello")
    assert budget.spent == reply.cost
    assert budget.remaining == Decimal("0.50") - reply.cost
    assert budget.held == 0
    assert budget.limit == Decimal("0.50")
    assert budget.name == "research"


async def test_child_tasks_and_nested_budgets_are_held(iron_client):
    async with iron.budget("1", name="outer") as outer:
        await asyncio.gather(iron_client.chat("a"), asyncio.create_task(iron_client.chat("b")))
        spent = outer.spent
        with iron.budget("1", name="inner") as inner:
            await iron_client.chat("c")
        assert inner.spent > 0
        assert outer.spent == spent + inner.spent


async def test_tasks_outside_are_not_held(iron_client):
    entered, done = asyncio.Event(), asyncio.Event()

    async def inside():
        with iron.budget("1") as budget:
            entered.set()
            await done.wait()
        return budget

    task = asyncio.create_task(inside())
    await entered.wait()
    await iron_client.chat("Hello")
    done.set()
    assert (await task).spent == 0


async def test_one_budget_may_be_entered_many_times(iron_client):
    budget = iron.budget("1")

    async def agent():
        with budget, budget:
            return await iron_client.chat("Hello")

    replies = await asyncio.gather(*(agent() for _ in range(5)))
    assert budget.spent == sum(reply.cost for reply in replies)
    before = budget.spent
    await iron_client.chat("Hello")
    assert budget.spent == before


async def test_what_could_never_fit_is_refused_unsent(iron_client, iron_simulator):
    with iron.budget("0.00001", name="small") as budget:
        with pytest.raises(iron.BudgetExceededError) as caught:
            await iron_client.chat("Hello", max_tokens=1000)
        error = caught.value
    assert (error.budget, error.limit, error.settled, error.held) == ("small", Decimal("0.00001"), 0, 0)
    assert error.estimate > error.limit
    assert error.request_id
    assert not error.retryable
    assert budget.spent == budget.held == 0
    assert iron_simulator.stats()["requests"] == 0


async def test_a_call_has_a_cap_of_its_own(iron_client):
    with pytest.raises(iron.BudgetExceededError, match="max_cost"):
        await iron_client.chat("Hello", max_tokens=1000, max_cost=Decimal("0.000001"))
    assert (await iron_client.chat("Hello", max_tokens=1000, max_cost="1")).text == "echo: Hello"


async def test_the_client_has_a_budget(iron_simulator):
    async with iron_simulator.client(budget=Decimal("0.5")) as client:
        reply = await client.chat("Hello")
        assert client.budget.limit == Decimal("0.5")
        assert client.budget.spent == reply.cost
        client.budget.set_limit("0.25")
        assert client.budget.limit == Decimal("0.25")
    async with iron_simulator.client() as client:
        assert client.budget is None


async def test_cancelling_gives_back_what_was_held(iron_client, iron_simulator):
    iron_simulator.set_rules([STALL])
    with iron.budget("1") as budget:
        calls = [asyncio.create_task(iron_client.chat("Hello", max_tokens=10)) for _ in range(10)]
        await until(in_progress(iron_simulator, 10))
        held = budget.held
        assert held > 0
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: budget.held == 0)
        # What was sent may be billed, so it is taken as spent.
        assert budget.spent == held


async def test_waiting_calls_go_on_when_others_settle(iron_client, iron_simulator):
    iron_simulator.set_rules([{"latency_ms": 20}])
    with iron.budget("1") as probe:
        await iron_client.chat("Hello", max_tokens=1000)
    one_call = Decimal("0.0021")
    assert probe.spent < one_call / 10
    with iron.budget(one_call) as budget:
        replies = await asyncio.gather(*(iron_client.chat("Hello", max_tokens=1000) for _ in range(5)))
    assert len(replies) == 5
    assert budget.spent <= budget.limit


def test_amounts_are_exact_whatever_the_decimal_context():
    with localcontext() as context:
        context.prec = 3
        budget = iron.budget("1234567.000000001")
        assert str(budget.limit) == "1234567.000000001"


@pytest.mark.parametrize("usd", ["0.50", Decimal("0.5"), Decimal("5E-1"), ".5"])
def test_amounts_are_taken_exactly(usd):
    assert iron.budget(usd).limit == Decimal("0.5")


def test_a_budget_shows_its_amounts():
    assert repr(iron.budget(5, name="x")) == "<Budget 'x': 0.00 spent, 0.00 held of 5.00 USD>"
