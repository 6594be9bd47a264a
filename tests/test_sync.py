"""The blocking client: the same verbs without an event loop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from waiting import in_progress, until_blocking

import iron_sdk as iron

STALL = {"fault": {"kind": "stall", "at": "before_headers"}}


@pytest.fixture
def client(iron_simulator):
    return iron_simulator.sync_client()


def test_chat(client):
    reply = client.chat("Hello")
    assert reply.text == "echo: Hello"
    assert reply.cost > 0


def test_stream(client):
    with client.stream("Hello there") as stream:
        text = "".join(chunk.text for chunk in stream)
        assert stream.reply().text == text == "echo: Hello there"
    assert "".join(chunk.text for chunk in client.stream("Hello")) == "echo: Hello"
    assert client.stream("Hello").reply().text == "echo: Hello"


def test_leaving_a_stream_early_gives_up_the_rest(iron_simulator):
    iron_simulator.set_rules([{"tokens_per_second": 20}])
    client = iron_simulator.sync_client(budget="1")
    with client.stream("Hello there, you") as stream:
        # The chunk without text and the first with one come together.
        assert not next(stream).text
        assert next(stream).text
    until_blocking(lambda: client.budget.held == 0)
    with pytest.raises(iron.ClosedError, match="closed before its end"):
        next(stream)
    with pytest.raises(iron.ClosedError, match="closed before its end"):
        stream.reply()
    assert iron_simulator.quiet()
    assert iron_simulator.stats()["streams_cut"] == 1


def test_a_stream_that_breaks_off_raises(client, iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "reset", "at": {"after_chunks": 2}}}])
    with pytest.raises(iron.UpstreamConnectionError), client.stream("Hello there") as stream:
        list(stream)
    with pytest.raises(iron.UpstreamConnectionError):
        stream.reply()


def test_embed(client):
    assert len(client.embed(["a", "b"], model="openai/text-embedding-3-small")) == 2


def test_errors_are_the_same(client, iron_simulator):
    with pytest.raises(iron.ConfigError, match="messages is empty"):
        client.chat("")
    with iron.budget("0.000000001"), pytest.raises(iron.BudgetExceededError):
        client.chat("Hello")
    iron_simulator.set_rules([STALL])
    with pytest.raises(iron.UpstreamTimeoutError):
        client.chat("Hello", timeout=0.02)


def test_budgets_hold(client):
    with iron.budget("1") as budget:
        reply = client.chat("Hello")
    assert budget.spent == reply.cost


def test_threads_share_a_client(client):
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda number: client.chat(f"number {number}").text, range(100)))
    assert texts == [f"echo: number {number}" for number in range(100)]


def test_closing_waits_for_other_threads(iron_simulator):
    iron_simulator.set_rules([{"latency_ms": 50}])
    with ThreadPoolExecutor(1) as pool:
        with iron_simulator.sync_client() as client:
            call = pool.submit(client.chat, "Hello")
            until_blocking(in_progress(iron_simulator, 1))
        assert call.done() or client.in_flight == 0
        assert call.result().text == "echo: Hello"
    with pytest.raises(iron.ClosedError):
        client.chat("Hello")


async def test_it_works_beside_a_running_loop(client):
    # It blocks the loop, as any blocking call does, but not itself.
    assert client.chat("Hello").text == "echo: Hello"
