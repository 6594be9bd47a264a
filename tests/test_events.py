"""Events: what happens to calls, read along."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import threading

import pytest
from child import run

import iron_sdk as iron

ROUTE = {"models": {"fast": {"upstreams": ["openai/gpt-6-luna", "openai/gpt-5-nano"]}}}


async def read(events, kind):
    """Read up to the first event of a kind."""
    told = []
    async for event in events:
        told.append(event)
        if isinstance(event, kind):
            return told
    raise AssertionError(f"ended before {kind.__name__}: {told}")


async def test_a_call_is_told_from_start_to_end(iron_simulator):
    iron_simulator.set_rules(
        [{"times": 2, "fault": {"kind": "status", "status": 503, "message": "unspeakable"}}]
    )
    client = iron.Client({**ROUTE, "retry": {"initial_ms": 1}}, base_url=iron_simulator.url, api_key="k")
    with iron.budget("1", name="agent"):
        async with iron.events() as events:
            reply = await client.chat("unspeakable", model="fast", max_attempts=2)
            told = await read(events, iron.CallFinished)
    started, retried, fell_back, finished = told
    assert (started.operation, started.model, started.budgets) == ("chat", "fast", ("agent",))
    assert (retried.upstream, retried.attempt, retried.code) == ("openai/gpt-6-luna", 1, "upstream_status")
    assert (fell_back.upstream, fell_back.next_upstream) == ("openai/gpt-6-luna", "openai/gpt-5-nano")
    assert (finished.upstream, finished.attempts) == (reply.upstream, 3)
    assert (finished.usage, finished.cost, finished.settlement) == (reply.usage, reply.cost, "settled")
    assert {event.request_id for event in told} == {reply.request_id}
    assert [event.at for event in told] == sorted(event.at for event in told)
    assert "unspeakable" not in repr(told)
    assert pickle.loads(pickle.dumps(told)) == told


async def test_refusals_failures_and_cancellations_are_told_apart(iron_client, iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "status", "status": 400}}])
    events = iron.events()
    with iron.budget("0", name="empty"), pytest.raises(iron.BudgetExceededError):
        await iron_client.chat("Hello")
    with pytest.raises(iron.UpstreamStatusError) as caught:
        await iron_client.chat("Hello")
    iron_simulator.set_rules([{"reply": {"output_tokens": 50}, "tokens_per_second": 1}])
    async with iron_client.stream("Hello", max_tokens=50) as stream:
        pass
    refused = (await read(events, iron.CallRefused))[-1]
    assert (refused.code, refused.budget) == ("budget_exceeded", "empty")
    failed = (await read(events, iron.CallFailed))[-1]
    assert (failed.request_id, failed.code) == (caught.value.request_id, "upstream_status")
    assert (failed.upstream, failed.attempts, failed.cost) == ("openai/gpt-6-luna", 1, 0)
    cancelled = (await read(events, iron.CallCancelled))[-1]
    assert (cancelled.request_id, cancelled.attempts) == (stream.request_id, 1)
    assert cancelled.cost > 0
    events.close()


async def test_a_budget_that_runs_low_is_told_once(iron_client, iron_simulator):
    iron_simulator.set_rules([{"reply": {"output_tokens": 200}}])
    price = (await iron_client.chat("Hello", max_tokens=200)).cost
    events = iron.events()
    with iron.budget(20 * price, name="purse") as purse, pytest.raises(iron.BudgetExceededError):
        while True:
            await iron_client.chat("Hello", max_tokens=200)
    told = await read(events, iron.CallRefused)
    (low,) = (event for event in told if isinstance(event, iron.BudgetLow))
    assert (low.budget, low.limit) == ("purse", purse.limit)
    assert low.limit * 4 / 5 < low.spent <= purse.spent
    events.close()


async def test_every_reader_sees_every_event_and_one_that_left_none(iron_client):
    first, second, left = iron.events(), iron.events(), iron.events()
    left.close()
    await iron_client.chat("Hello")
    assert len(await read(first, iron.CallFinished)) == len(await read(second, iron.CallFinished)) == 2
    assert [event async for event in left] == []
    first.close()
    second.close()


async def test_a_client_tells_of_its_own_calls_until_it_is_closed(iron_client, iron_simulator):
    async with iron_simulator.client() as other:
        events, second, all_calls = other.events(), other.events(), iron.events()
        waiting = asyncio.ensure_future(anext(events))
        await iron_client.chat("Hello")
        reply = await other.chat("Hello")
        assert (await waiting).request_id == reply.request_id
        assert len(await read(all_calls, iron.CallFinished)) == 2
        left = other.events()
        left.close()
    assert [event async for event in left] == []
    assert [type(event) async for event in events] == [iron.CallFinished]
    told = [event async for event in second]
    assert [event.request_id for event in told] == [reply.request_id] * 2
    assert await anext(events, None) is None
    assert [event async for event in other.events()] == [], "of a closed client nothing more comes"
    all_calls.close()


async def test_a_closed_client_tells_of_the_calls_that_go_on(iron_simulator):
    iron_simulator.set_rules([{"reply": {"text": "one two"}}])
    client = iron_simulator.client()
    events = client.events()
    async with client.stream("Hello") as stream:
        closing = asyncio.ensure_future(client.aclose())
        await asyncio.sleep(0)
        with pytest.raises(iron.ClosedError):
            await client.chat("Hello")
        await stream.reply()
    await closing
    assert [type(event) async for event in events] == [iron.CallStarted, iron.CallFinished]


async def test_a_slow_reader_is_told_what_it_missed(iron_client):
    events = iron.events()
    with iron.budget("0"):
        for _ in range(3_000):
            with pytest.raises(iron.BudgetExceededError):
                await iron_client.chat("Hello")
    dropped = await anext(events)
    assert isinstance(dropped, iron.EventsDropped)
    left = [await anext(events) for _ in range(6_000 - dropped.count)]
    assert isinstance(left[-1], iron.CallRefused)
    events.close()


async def test_closing_ends_a_reader_that_waits(iron_client):
    events = iron.events()
    waiting = asyncio.ensure_future(anext(events, None))
    await iron_client.chat("Hello")
    assert isinstance(await waiting, iron.CallStarted)
    await anext(events)
    waiting = asyncio.ensure_future(anext(events, None))
    await asyncio.sleep(0)
    events.close()
    assert await waiting is None


async def test_a_wait_that_is_cancelled_loses_nothing(iron_client):
    events = iron.events()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    reply = await iron_client.chat("Hello")
    told = await read(events, iron.CallFinished)
    assert [type(event) for event in told] == [iron.CallStarted, iron.CallFinished]
    assert told[0].request_id == reply.request_id
    events.close()


def test_a_thread_reads_along_a_client_until_it_is_closed(iron_simulator):
    client = iron_simulator.sync_client()
    events, told = client.events(), []
    reader = threading.Thread(target=lambda: told.extend(events))
    reader.start()
    with iron_simulator.sync_client() as other:
        other.chat("Hello")
    with client:
        client.chat("Hello")
    reader.join()
    assert [type(event) for event in told] == [iron.CallStarted, iron.CallFinished]


def test_a_thread_reads_along_without_a_loop(iron_simulator):
    told = []
    events = iron.events()

    def follow():
        told.extend(events)

    reader = threading.Thread(target=follow)
    reader.start()
    with iron_simulator.sync_client() as client:
        client.chat("Hello")
    while len(told) < 2:
        pass
    events.close()
    reader.join()
    assert [type(event) for event in told] == [iron.CallStarted, iron.CallFinished]


def test_a_forked_child_reads_no_events_of_its_parent(iron_simulator):
    run(
        """
        import warnings

        # Python 3.12 and later warn of every fork in a process with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        one = sync_client()
        events = iron.events()
        one.chat("Hello")
        child = os.fork()
        if child == 0:
            for read in (iron.events, lambda: next(events), events.close):
                try:
                    read()
                except iron.ForkedProcessError:
                    continue
                os._exit(1)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert [type(next(events)) for _ in range(2)] == [iron.CallStarted, iron.CallFinished]
        """,
        simulator=iron_simulator,
    )


def test_loops_and_threads_that_wait_for_events_hold_up_no_exit():
    assert (
        run(
            """
            import threading

            def follow():
                for event in iron.events():
                    pass

            async def main():
                events = iron.events()
                try:
                    await asyncio.wait_for(anext(events), 0.01)
                except asyncio.TimeoutError:
                    print("nothing")

            async def left():
                asyncio.ensure_future(anext(iron.events()))
                await asyncio.sleep(0)

            asyncio.run(main())
            asyncio.run(left())
            threading.Thread(target=follow, daemon=True).start()
            """
        )
        == "nothing\n"
    )


async def test_a_breaker_that_opens_and_closes_is_told_and_shown(iron_simulator):
    iron_simulator.set_rules([{"times": 2, "fault": {"kind": "status", "status": 500}}])
    settings = {"breaker": {"failures": 2, "open_ms": 1, "probes": 1}, "retry": {"max_attempts": 1}}
    client = iron.Client(settings, base_url=iron_simulator.url, api_key="k", model="openai/gpt-6-luna")
    events = iron.events()
    for _ in range(2):
        with pytest.raises(iron.UpstreamStatusError):
            await client.chat("Hello")
    opened = (await read(events, iron.BreakerOpened))[-1]
    (upstream,) = client.stats().upstreams
    assert (opened.upstream, upstream.name) == ("openai/gpt-6-luna", "openai/gpt-6-luna")
    assert (upstream.breaker, upstream.requests, upstream.failures) == ("open", 2, 2)

    reply = None
    while reply is None:
        with contextlib.suppress(iron.NoUpstreamError):
            reply = await client.chat("Hello")
    closed = (await read(events, iron.BreakerClosed))[-1]
    assert closed.upstream == reply.upstream
    (upstream,) = client.stats().upstreams
    assert (upstream.breaker, upstream.requests, upstream.in_flight) == ("closed", 3, 0)
    assert upstream.latency > 0
    assert "breaker closed" in client.stats()._repr_html_()
    events.close()
