"""The simulator for users' own tests."""

from __future__ import annotations

import asyncio

import pytest

import iron_sdk as iron
from iron_sdk.testing import Simulator


def test_it_runs_in_a_block():
    with Simulator(rules=[{"reply": {"text": "Hello to you"}}]) as simulator:
        assert simulator.url.startswith("http://127.0.0.1:")
        with simulator.sync_client() as client:
            assert client.chat("Hello").text == "Hello to you"
        assert simulator.quiet()
        stats = simulator.stats()
        assert (stats["served"], stats["chat_calls"]) == (1, 1)
        assert simulator.requests()[0]["path"] == "/v1/chat/completions"
        simulator.reset()
        assert simulator.stats()["served"] == 0
    for use in (lambda: simulator.url, simulator.stats, simulator.quiet):
        with pytest.raises(iron.ClosedError):
            use()


async def test_it_runs_in_an_async_block():
    async with Simulator(seed=7) as simulator:
        async with simulator.client() as client:
            replies = await asyncio.gather(*(client.chat(f"{n}") for n in range(10)))
        assert len(replies) == 10
        assert await simulator.aquiet()
        assert simulator.stats()["served"] == 10
    with pytest.raises(iron.ClosedError):
        await simulator.aquiet()


async def test_cancelling_a_wait_is_clean(iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "stall", "at": "before_headers"}}])
    client = iron_simulator.client()
    call = asyncio.create_task(client.chat("Hello"))
    while iron_simulator.stats()["in_progress"] == 0:
        await asyncio.sleep(0)
    assert not await iron_simulator.aquiet(0.01)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(iron_simulator.aquiet(60), 0.01)
    call.cancel()
    assert await iron_simulator.aquiet()


def test_a_key_is_required_if_asked_for():
    with Simulator(api_key="right") as simulator:
        assert simulator.sync_client().chat("Hello").text == "echo: Hello"
        with pytest.raises(iron.UpstreamStatusError) as caught:
            simulator.sync_client(api_key="wrong").chat("Hello")
        assert caught.value.status == 401


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"zebra": 1}, "unknown field `zebra`"),
        ({"seed": -1}, "simulator: "),
        ({"rules": [{"when": {"zebra": 1}}]}, "unknown field `zebra`"),
        ({"rules": [{"probability": 2}]}, r"rules\[0\].probability"),
        ({"latency_ms": float("nan")}, "latency_ms is nan"),
    ],
    ids=repr,
)
def test_wrong_settings_are_told(settings, message):
    with pytest.raises(iron.ConfigError, match=message):
        Simulator(**settings).__enter__()


async def test_wrong_rules_leave_those_in_force(iron_simulator, iron_client):
    iron_simulator.set_rules([{"reply": {"text": "first"}}])
    with pytest.raises(iron.ConfigError):
        iron_simulator.set_rules([{"zebra": 1}])
    assert (await iron_client.chat("Hello")).text == "first"


def test_before_it_runs_it_says_so():
    with pytest.raises(iron.ClosedError, match="enter it with"):
        _ = Simulator().url
