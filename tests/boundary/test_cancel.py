"""Cancellation, from whichever side it comes: the call is given up and what it held is released."""

from __future__ import annotations

import asyncio
import sys

import pytest
from waiting import in_progress, until

import iron_sdk as iron

STALL = {"fault": {"kind": "stall", "at": "before_headers"}}


@pytest.fixture
def stalled(iron_simulator):
    iron_simulator.set_rules([{"when": {"text": "stall"}, **STALL}])
    return iron_simulator.client(budget="10")


async def released(client, simulator):
    await until(lambda: client.budget.held == 0)
    await until(lambda: client.in_flight == 0)
    assert await simulator.aquiet()


async def test_task_cancel(stalled, iron_simulator):
    call = asyncio.create_task(stalled.chat("stall"))
    await until(in_progress(iron_simulator, 1))
    assert stalled.budget.held > 0
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await released(stalled, iron_simulator)


async def test_wait_for(stalled, iron_simulator):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(stalled.chat("stall"), 0.02)
    await released(stalled, iron_simulator)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups came with Python 3.11")
async def test_task_group(stalled, iron_simulator):
    async def fail():
        await until(in_progress(iron_simulator, 5))
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:  # noqa: F821 - of Python 3.11
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(stalled.chat("stall"))
            group.create_task(fail())
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]
    await released(stalled, iron_simulator)


async def test_gather(stalled, iron_simulator):
    calls = asyncio.gather(*(stalled.chat("stall") for _ in range(5)))
    await until(in_progress(iron_simulator, 5))
    calls.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls
    await released(stalled, iron_simulator)


async def test_while_waiting_for_budget(stalled, iron_simulator):
    with iron.budget("0.0006") as budget:
        first = asyncio.create_task(stalled.chat("stall", max_tokens=1000))
        await until(in_progress(iron_simulator, 1))
        second = asyncio.create_task(stalled.chat("Hello", max_tokens=1000))
        await until(lambda: stalled.in_flight == 2)
        held = budget.held
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await until(lambda: stalled.in_flight == 1)
        assert budget.held == held
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await until(lambda: budget.held == 0)


async def test_in_the_moment_that_the_result_arrives(stalled):
    # Whichever wins, nothing is left over and the next call works.
    for _ in range(200):
        call = asyncio.create_task(stalled.chat("Hello"))
        await asyncio.sleep(0)
        await asyncio.wait([call], timeout=0.0005)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await until(lambda: stalled.in_flight == 0)
    assert stalled.budget.held == 0
    assert (await stalled.chat("Hello")).text == "echo: Hello"


async def test_before_anything_is_sent(stalled, iron_simulator):
    call = asyncio.create_task(stalled.chat("Hello"))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert iron_simulator.stats()["requests"] == 0
    assert stalled.budget.spent == 0


async def test_a_coroutine_thrown_away(stalled, iron_simulator):
    call = stalled.chat("stall")
    call.send(None)
    await until(in_progress(iron_simulator, 1))
    call.close()
    await released(stalled, iron_simulator)


async def test_streams(stalled, iron_simulator):
    async def read():
        async for _ in stalled.stream("stall"):
            pytest.fail("nothing comes")

    task = asyncio.create_task(read())
    await until(in_progress(iron_simulator, 1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    await released(stalled, iron_simulator)


async def test_closing_can_be_cancelled(stalled, iron_simulator):
    call = asyncio.create_task(stalled.chat("stall"))
    await until(in_progress(iron_simulator, 1))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(stalled.aclose(), 0.02)
    assert not call.done()
    call.cancel()
    await stalled.aclose()
