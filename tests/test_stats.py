"""The counters of a client."""

from __future__ import annotations

import asyncio
import pickle
from decimal import Decimal

import pytest
from waiting import in_progress, until

import iron_sdk as iron


async def test_they_tell_how_calls_ended_and_add_up_with_budget_and_replies(iron_simulator):
    iron_simulator.set_rules(
        [
            {"times": 1, "fault": {"kind": "status", "status": 503}},
            {"times": 1},
            {"times": 1, "fault": {"kind": "status", "status": 400}},
            {"times": 1, "fault": {"kind": "stall", "at": "before_headers"}},
        ]
    )
    async with iron_simulator.client(budget="1") as client:
        reply = await client.chat("Hello", max_tokens=20)
        with pytest.raises(iron.UpstreamStatusError):
            await client.chat("Hello", max_tokens=20)
        left = asyncio.ensure_future(client.chat("Hello", max_tokens=20))
        await until(in_progress(iron_simulator, 1))
        assert client.stats().in_flight == 1
        left.cancel()
        await asyncio.wait([left])
        with pytest.raises(iron.BudgetExceededError):
            await client.chat("Hello", max_tokens=20, max_cost="0.000000001")
        await until(lambda: client.in_flight == 0)

        stats = client.stats()
        assert (stats.calls, stats.answered, stats.cancelled, stats.in_flight, stats.waiting) == (
            4,
            1,
            1,
            0,
            0,
        )
        assert (stats.refused, stats.failed) == ({"budget_exceeded": 1}, {"upstream_status": 1})
        assert (stats.attempts, stats.retries, stats.fallbacks) == (4, 1, 0)
        assert stats.usage == reply.usage
        assert stats.cost == client.budget.spent
        assert stats.cost - stats.in_doubt == reply.cost
        assert 0 < stats.overhead.p50 < stats.total.p50 <= stats.total.p99
        assert pickle.loads(pickle.dumps(stats)) == stats


def test_the_blocking_client_has_them_too(iron_simulator):
    with iron_simulator.sync_client() as client:
        assert client.stats().calls == 0
        assert client.stats().total == iron.Quantiles(0, 0, 0)
        reply = client.chat("Hello")
        client.embed("Hello", model="openai/text-embedding-3-small")
        assert client.stats().answered == 2
        assert client.stats().cost > reply.cost > Decimal(0)


async def test_those_of_the_default_client_begin_anew_with_it(iron_simulator):
    iron.configure({}, base_url=iron_simulator.url, api_key="k", model="openai/gpt-6-luna")
    await iron.chat("Hello")
    assert iron.stats().calls == 1
    iron.configure({}, base_url=iron_simulator.url, api_key="k", model="openai/gpt-6-luna")
    assert iron.stats().calls == 0
