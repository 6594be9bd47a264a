"""Retries, gates, breakers, limits, routes and keys, as a program meets them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import pytest

import iron_sdk as iron
from iron_sdk.testing import Simulator

LUNA, OTHER = "openai/gpt-6-luna", "other/gpt-6-luna"
DOWN = {"fault": {"kind": "status", "status": 503}}
ONE_TRY = {"retry": {"max_attempts": 1}}


def throttled(retry_after, **rule):
    return {"fault": {"kind": "status", "status": 429, "retry_after": retry_after}, **rule}


def client(simulator, config=None, **options):
    """Open a client whose provider `openai` is the simulator."""
    provider = {"base_url": simulator.url, "api_key": "sk-simulated"}
    config = {**(config or {})}
    config["providers"] = {"openai": provider, **config.get("providers", {})}
    return iron.Client(config, **{"model": LUNA, **options})


@contextlib.asynccontextmanager
async def two(first, second, route, **config):
    """Open a client of a route over two simulators with those rules."""
    async with Simulator(rules=first) as one, Simulator(rules=second) as other:
        config["providers"] = {"other": {"base_url": other.url}}
        config["prices"] = {OTHER: {"input_usd": "1"}}
        config["models"] = {"fast": {"upstreams": [LUNA, OTHER], **route}}
        async with client(one, config, model="fast") as opened:
            yield opened, lambda: (one.stats()["requests"], other.stats()["requests"])


async def test_one_call_learns_of_a_429_and_all_wait(iron_simulator):
    iron_simulator.set_rules([throttled("0.3", times=1)])
    async with client(iron_simulator) as opened:
        first = await opened.chat("Hello")
        assert first.attempts == 2
        replies = await asyncio.gather(*(opened.chat("Hello") for _ in range(5)))
    assert [reply.attempts for reply in replies] == [1] * 5
    at = [request["at_ms"] for request in iron_simulator.requests()]
    assert all(later - at[0] >= 299 for later in at[1:])
    assert len(at) == 7


async def test_a_call_that_cannot_wait_so_long_is_refused_unsent(iron_simulator):
    iron_simulator.set_rules([throttled(300)])
    async with client(iron_simulator, timeout=30) as opened:
        for _ in range(3):
            with pytest.raises(iron.RateLimitError) as refused:
                await opened.chat("Hello")
            assert refused.value.upstream == LUNA
            assert 200 < refused.value.retry_after <= 300
        (upstream,) = opened.stats().upstreams
    assert iron_simulator.stats()["requests"] == 1
    assert upstream.closed_for > 200


async def test_an_open_breaker_is_told_with_its_next_probe(iron_simulator):
    iron_simulator.set_rules([DOWN])
    async with client(iron_simulator, {**ONE_TRY, "breaker": {"failures": 2, "open_ms": 60_000}}) as opened:
        for _ in range(2):
            with pytest.raises(iron.UpstreamStatusError):
                await opened.chat("Hello")
        with pytest.raises(iron.NoUpstreamError, match=r"circuit breaker is open .* probes in \d") as refused:
            await opened.chat("Hello")
        (upstream,) = opened.stats().upstreams
    assert refused.value.retryable
    assert refused.value.code == "no_upstream"
    assert refused.value.failures == ()
    assert (upstream.breaker, upstream.requests, upstream.failures) == ("open", 2, 2)
    assert iron_simulator.stats()["requests"] == 2


async def test_a_used_up_retry_budget_is_in_the_message_and_the_class_is_the_failures(iron_simulator):
    iron_simulator.set_rules([DOWN])
    async with client(iron_simulator, {"retry": {"budget_percent": 0, "budget_per_second": 0}}) as opened:
        with pytest.raises(iron.UpstreamStatusError, match=r"answered 503.*retry budget") as refused:
            await opened.chat("Hello")
    assert (refused.value.status, refused.value.retryable) == (503, True)
    assert iron_simulator.stats()["requests"] == 1


async def test_a_route_falls_back_at_once_from_an_upstream_that_is_full():
    async with two([throttled(300)], [], {}) as (opened, requests):
        replies = [await opened.chat("Hello") for _ in range(4)]
        assert [(reply.upstream, reply.attempts) for reply in replies] == [(OTHER, 2), *[(OTHER, 1)] * 3]
        assert requests() == (1, 4)
        assert opened.stats().fallbacks == 4


async def test_a_weighted_route_shares_by_weight_and_repeats_by_seed():
    async def upstreams():
        route = {"strategy": "weighted", "weights": [3, 1], "seed": 11}
        async with two([], [], route) as (opened, _):
            return [(await opened.chat("Hello")).upstream for _ in range(60)]

    order = await upstreams()
    assert 30 < Counter(order)[LUNA] < 60
    assert await upstreams() == order


async def test_calls_within_budgets_of_one_name_share_its_limit(iron_simulator):
    limits = {"budgets": {"research": {"requests_per_minute": 2}}, "on_limit": "fail"}
    async with client(iron_simulator, {"limits": limits}) as opened:
        for _ in range(2):
            with iron.budget(usd=1, name="research"):
                await opened.chat("Hello")
        with (
            iron.budget(usd=1, name="research"),
            pytest.raises(iron.RateLimitError, match="research") as refused,
        ):
            await opened.chat("Hello")
        await opened.chat("Hello")
    assert refused.value.upstream is None
    assert iron_simulator.stats()["requests"] == 3


async def test_keys_take_turns_and_one_that_is_refused_is_never_shown(iron_simulator):
    keys = ["sk-a-refused-key", "sk-a-working-key"]
    refused = {
        "when": {"headers": {"authorization": f"Bearer {keys[0]}"}},
        "fault": {"kind": "status", "status": 401},
    }
    iron_simulator.set_rules([refused])
    provider = {"base_url": iron_simulator.url, "api_keys": keys}
    async with client(iron_simulator, {"providers": {"openai": provider}}) as opened:
        replies = [await opened.chat("Hello") for _ in range(3)]
        assert [(reply.upstream, reply.attempts) for reply in replies] == [
            ("openai#2/gpt-6-luna", 2),
            ("openai#2/gpt-6-luna", 1),
            ("openai#2/gpt-6-luna", 1),
        ]
        iron_simulator.set_rules([{"fault": {"kind": "status", "status": 401}}])
        with pytest.raises(iron.NoUpstreamError) as error:
            await opened.chat("Hello")
        shown = f"{error.value!r} {error.value.failures!r} {opened!r} {opened.stats()!r}"
    assert len(error.value.failures) == 2
    assert not any(key in shown for key in keys)


def test_one_key_beside_several_is_an_error(iron_simulator):
    provider = {"base_url": iron_simulator.url, "api_key": "sk-one", "api_keys": ["sk-two"]}
    with pytest.raises(iron.ConfigError, match=r"providers\.openai has one key and several"):
        iron.Client({"providers": {"openai": provider}})
