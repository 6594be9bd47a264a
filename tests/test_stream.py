"""Streamed calls: chunks, the assembled reply, and streams that break off or are left."""

from __future__ import annotations

import asyncio
import gc

import pytest
from waiting import in_progress, until

import iron_sdk as iron

SLOW = {"tokens_per_second": 20}


async def test_chunks_add_up_to_the_reply(iron_client):
    async with iron_client.stream("Hello there") as stream:
        text = "".join([chunk.text async for chunk in stream])
        reply = await stream.reply()
    assert text == reply.text == "echo: Hello there"
    assert reply.finish_reason == "stop"
    assert reply.settlement == "settled"
    assert reply.usage.output_tokens > 0
    assert reply.cost > 0
    assert reply.request_id == stream.request_id


async def test_iteration_alone_is_enough(iron_client):
    assert "".join([chunk.text async for chunk in iron_client.stream("Hello")]) == "echo: Hello"


async def test_the_reply_alone_is_enough(iron_client):
    stream = iron_client.stream("Hello")
    assert (await stream.reply()).text == "echo: Hello"
    assert (await stream.reply()) is (await stream.reply())
    assert [chunk async for chunk in stream] == []


async def test_the_rest_is_read_for_the_reply(iron_client):
    async with iron_client.stream("Hello there you") as stream:
        async for chunk in stream:
            if chunk.text:
                break
        assert (await stream.reply()).text == "echo: Hello there you"


async def test_chunks_show_what_the_provider_sent(iron_client):
    chunks = [chunk async for chunk in iron_client.stream("Hello")]
    assert chunks[-1].finish_reason == "stop"
    assert all(chunk.index == 0 for chunk in chunks)
    assert b'"chat.completion.chunk"' in chunks[0].raw
    assert repr(chunks[-1]) == '<Chunk of 0 characters, index=0, finish_reason="stop">'


async def test_tool_calls_come_in_pieces_and_whole(iron_client, iron_simulator):
    calls = [{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "time", "arguments": {}}]
    iron_simulator.set_rules([{"reply": {"tool_calls": calls}}])
    pieces = {}
    async with iron_client.stream("How is it?") as stream:
        async for chunk in stream:
            for delta in chunk.tool_calls:
                name, arguments = pieces.get(delta.index, ("", ""))
                pieces[delta.index] = (name + (delta.name or ""), arguments + delta.arguments)
        reply = await stream.reply()
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [pieces[0], pieces[1]]
    assert reply.tool_calls[0].parsed_arguments() == {"city": "Oslo"}


async def test_choices_are_told_apart(iron_client):
    texts = {0: "", 1: ""}
    async for chunk in iron_client.stream("Hello", n=2):
        texts[chunk.index] += chunk.text
    assert texts == {0: "echo: Hello", 1: "echo: Hello"}


async def test_long_replies_are_held_back_not_lost(iron_client, iron_simulator):
    iron_simulator.set_rules([{"reply": {"output_tokens": 20_000}}])
    async with iron_client.stream("Much", max_tokens=20_000) as stream:
        text = "".join([chunk.text async for chunk in stream])
        assert (await stream.reply()).text == text


async def test_a_reader_that_stops_holds_the_provider_back(iron_simulator):
    iron_simulator.set_rules([{"reply": {"output_tokens": 400_000}}])
    async with iron_simulator.client() as client, client.stream("Much") as stream:
        await anext(stream)
        # What the buffer and the sockets hold is far less than the reply.
        assert iron_simulator.stats()["in_progress"] == 1
    assert await iron_simulator.aquiet()
    stats = iron_simulator.stats()
    assert stats["streams_cut"] == 1
    assert stats["output_tokens"] < 200_000


async def test_leaving_early_gives_up_the_rest(iron_simulator):
    iron_simulator.set_rules([SLOW])
    async with iron_simulator.client(budget="1") as client:
        async with client.stream("Hello there, you") as stream:
            # The chunk without text and the first with one come together.
            assert not (await anext(stream)).text
            assert (await anext(stream)).text
        await until(lambda: client.budget.held == 0)
        assert client.budget.spent > 0
        with pytest.raises(iron.ClosedError, match="closed before its end"):
            await anext(stream)
        with pytest.raises(iron.ClosedError, match="closed before its end"):
            await stream.reply()
    assert await iron_simulator.aquiet()
    assert iron_simulator.stats()["streams_cut"] == 1


async def test_dropping_a_stream_gives_it_up(iron_simulator):
    iron_simulator.set_rules([SLOW])
    client = iron_simulator.client(budget="1")
    async for _ in client.stream("Hello there, you"):
        break
    gc.collect()
    await until(lambda: client.budget.held == 0)
    assert await iron_simulator.aquiet()
    assert iron_simulator.stats()["streams_cut"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset", "at": {"after_chunks": 3}},
        {"kind": "close", "at": {"after_chunks": 3}},
        {"kind": "close", "at": {"after_bytes": 700}},
    ],
    ids=str,
)
async def test_a_stream_that_breaks_off_raises(iron_client, iron_simulator, fault):
    iron_simulator.set_rules([{"fault": fault}])
    stream = iron_client.stream("Hello there, all of you")
    seen = ""
    with pytest.raises(iron.UpstreamConnectionError) as caught:
        async for chunk in stream:
            seen += chunk.text
    assert seen.startswith("echo")
    assert seen != "echo: Hello there, all of you"
    assert caught.value.request_id == stream.request_id
    for _ in range(2):
        with pytest.raises(iron.UpstreamConnectionError):
            await anext(stream)
    with pytest.raises(iron.UpstreamConnectionError):
        await stream.reply()


async def test_a_stream_without_an_end_never_looks_complete(iron_client, iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "no_finish_reason"}}])
    with pytest.raises(iron.UpstreamError):
        [chunk async for chunk in iron_client.stream("Hello")]


async def test_refusals_raise_on_entering(iron_client, iron_simulator):
    with iron.budget("0.000000001"), pytest.raises(iron.BudgetExceededError):
        async with iron_client.stream("Hello"):
            pytest.fail("entered")
    iron_simulator.set_rules([{"fault": {"kind": "status", "status": 401}}])
    with pytest.raises(iron.UpstreamStatusError) as caught:
        async with iron_client.stream("Hello"):
            pytest.fail("entered")
    assert caught.value.status == 401


async def test_a_cancelled_wait_loses_no_chunk(iron_client, iron_simulator):
    iron_simulator.set_rules([SLOW])
    text = ""
    async with iron_client.stream("Hello there") as stream:
        while True:
            try:
                chunk = await asyncio.wait_for(anext(stream), 0.002)
            except asyncio.TimeoutError:
                continue
            except StopAsyncIteration:
                break
            text += chunk.text
    assert text == "echo: Hello there"


async def test_a_reader_that_waits_takes_no_turns(iron_client, iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "stall", "at": "before_headers"}}])
    stream = iron_client.stream("Hello")
    waits = 0

    class Counted:
        def __getattr__(self, name):
            nonlocal waits
            waits += name == "wait"
            return getattr(native, name)

    native, stream._native = stream._native, Counted()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(anext(stream), 0.05)
    assert waits == 1


async def test_a_stream_that_is_never_begun_sends_nothing(iron_client, iron_simulator):
    stream = iron_client.stream("Hello")
    await stream.aclose()
    with pytest.raises(iron.ClosedError):
        await anext(stream)
    assert iron_simulator.stats()["requests"] == 0


async def test_many_streams_at_once(iron_client, iron_simulator):
    async def one(number):
        return "".join([chunk.text async for chunk in iron_client.stream(f"number {number}")])

    texts = await asyncio.gather(*(one(number) for number in range(100)))
    assert texts == [f"echo: number {number}" for number in range(100)]
    assert in_progress(iron_simulator, 0)()
