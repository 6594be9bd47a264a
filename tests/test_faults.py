"""What a caller sees when an upstream goes wrong: the error, how often it was asked, and what was paid."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal

import pytest

import iron_sdk as iron
from iron_sdk.testing import Simulator

TEXT = "né 🦀 und 東京"
PRICES = {"openai/gpt-6-luna": {"input_usd": "1", "output_usd": "4", "cached_input_usd": "1"}}
MILLION = Decimal(1_000_000)

# Each fault with what is raised, its attributes, and the requests of a plain call and of a stream, if struck.
CONNECTION, STATUS, TIMEOUT = (
    iron.UpstreamConnectionError,
    iron.UpstreamStatusError,
    iron.UpstreamTimeoutError,
)
FAULTS = [
    ({"kind": "status", "status": 500}, STATUS, {"status": 500, "retryable": True}, 3, 3),
    ({"kind": "status", "status": 404}, STATUS, {"status": 404, "retryable": False}, 1, 1),
    ({"kind": "status", "status": 429}, iron.RateLimitError, {"retryable": True}, 3, 3),
    ({"kind": "refuse"}, CONNECTION, {"retryable": True}, 0, 0),
    ({"kind": "redirect", "to": "http://127.0.0.1:9/"}, STATUS, {"status": 307}, 1, 1),
    ({"kind": "reset", "at": "before_headers"}, CONNECTION, {"retryable": True}, 3, 3),
    ({"kind": "reset", "at": {"after_bytes": 20}}, CONNECTION, {"retryable": True}, 3, 3),
    ({"kind": "close", "at": {"after_bytes": 20}}, CONNECTION, {"retryable": True}, 3, 3),
    ({"kind": "truncated_chunks"}, CONNECTION, {"retryable": True}, 3, None),
    ({"kind": "wrong_length", "by": 10}, CONNECTION, {"retryable": True}, 3, None),
    ({"kind": "wrong_length", "by": -10}, STATUS, {"status": 200}, 1, None),
    ({"kind": "malformed_json"}, STATUS, {"status": 200}, 1, None),
    ({"kind": "error_in_ok"}, STATUS, {"status": 200, "retryable": True}, 3, 3),
    ({"kind": "empty_body"}, STATUS, {"status": 200, "body": b""}, 1, 1),
    ({"kind": "page"}, STATUS, {"status": 200}, 1, 1),
    ({"kind": "padded", "bytes": 100_000_000, "coding": "zstd"}, STATUS, {"status": 200, "body": b""}, 1, 1),
    ({"kind": "stall", "at": "after_headers"}, TIMEOUT, {"phase": "first_byte", "retryable": True}, 1, 1),
    ({"kind": "stall", "at": {"after_chunks": 2}}, TIMEOUT, {"phase": "idle"}, None, 1),
    ({"kind": "endless", "with": "comments"}, TIMEOUT, {"phase": "idle"}, None, 1),
    ({"kind": "error_event", "named": True}, STATUS, {"status": 200, "retryable": True}, None, 3),
    ({"kind": "error_event", "after_chunks": 3}, STATUS, {"status": 200, "retryable": True}, None, 1),
    ({"kind": "malformed_event"}, STATUS, {"status": 200}, None, 1),
    ({"kind": "empty_stream"}, CONNECTION, {"retryable": True}, None, 1),
    ({"kind": "no_finish_reason"}, STATUS, {"status": 200}, None, 1),
]
FORMS = ["no_done", "split_bytes", "crlf", "comments", "multi_line_data", "bom"]


def named(fault):
    return "-".join(str(value) for value in fault.values())


def opened(simulator, fault):
    """Open a client of a simulator that does that to every request; timeouts end what would not end."""
    rule = {"fault": fault}
    if fault["kind"] != "refuse":
        rule["reply"] = {"text": TEXT}
    simulator.set_rules([rule])
    timeouts = {}
    if fault["kind"] in {"stall", "endless"}:
        timeouts = {"ttft_ms" if fault.get("at") == "after_headers" else "idle_ms": 150}
    settings = {
        "providers": {"openai": {"base_url": simulator.url, "api_key": "sk-secret"}},
        "prices": PRICES,
        "retry": {"initial_ms": 1, "max_ms": 2},
        "timeouts": timeouts,
    }
    return iron.Client(settings, model="openai/gpt-6-luna", budget="1.00")


async def cost(simulator, client):
    """What was served, and what was paid."""
    assert await simulator.aquiet()
    stats = simulator.stats()
    served = (stats["input_tokens"] + 4 * stats["output_tokens"]) / MILLION
    assert client.budget.held == 0
    return served, client.budget.spent


def check(error, kind, attributes):
    assert type(error) is kind
    for name, value in attributes.items():
        assert getattr(error, name) == value, name
    assert error.upstream == "openai/gpt-6-luna"
    assert error.request_id
    for private in ("<", "sk-secret", "What is said", TEXT):
        assert private not in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.retryable) == (kind, str(error), error.retryable)
    causes, cause = [], error.__cause__
    while cause is not None:
        causes.append(str(cause))
        cause = cause.__cause__
    # A stream that only ends too early has no cause below.
    assert bool(causes) == (kind is CONNECTION and "ended before" not in str(error))
    assert all(causes)
    assert "sk-secret" not in "".join(causes)


@pytest.mark.parametrize(
    ("fault", "kind", "attributes", "requests"),
    [(fault, kind, attributes, plain) for fault, kind, attributes, plain, _ in FAULTS if plain is not None],
    ids=[named(row[0]) for row in FAULTS if row[3] is not None],
)
async def test_a_call_that_goes_wrong(iron_simulator, fault, kind, attributes, requests):
    async with opened(iron_simulator, fault) as client:
        with pytest.raises(kind) as raised:
            await client.chat("What is said?", max_tokens=50)
        check(raised.value, kind, attributes)
        served, paid = await cost(iron_simulator, client)
        assert served <= paid
        assert iron_simulator.stats()["requests"] == requests


@pytest.mark.parametrize(
    ("fault", "kind", "attributes", "requests"),
    [
        (fault, kind, attributes, stream)
        for fault, kind, attributes, _, stream in FAULTS
        if stream is not None
    ],
    ids=[named(row[0]) for row in FAULTS if row[4] is not None],
)
async def test_a_stream_that_goes_wrong(iron_simulator, fault, kind, attributes, requests):
    async with opened(iron_simulator, fault) as client:
        text = ""
        stream = client.stream("What is said?", max_tokens=50)
        with pytest.raises(kind) as raised:
            async for chunk in stream:
                text += chunk.text
        check(raised.value, kind, attributes)
        assert TEXT.startswith(text)
        # What is incomplete is never presented as complete.
        with pytest.raises(iron.IronError):
            await stream.reply()
        served, paid = await cost(iron_simulator, client)
        assert served <= paid
        assert iron_simulator.stats()["requests"] == requests


@pytest.mark.parametrize("kind", FORMS)
async def test_a_stream_of_an_unusual_form_is_whole(iron_simulator, kind):
    async with opened(iron_simulator, {"kind": kind}) as client:
        stream = client.stream("What is said?", max_tokens=50)
        assert "".join([chunk.text async for chunk in stream]) == TEXT
        reply = await stream.reply()
        assert (reply.text, reply.settlement, reply.warnings) == (TEXT, "settled", ())
        served, paid = await cost(iron_simulator, client)
        assert reply.cost == paid == served


@pytest.mark.parametrize("coding", [None, "gzip", "deflate", "br", "zstd"])
async def test_a_compressed_reply_is_whole(iron_simulator, coding):
    fault = {"kind": "padded", "bytes": 10_000, "coding": coding}
    async with opened(iron_simulator, fault) as client:
        assert (await client.chat("What is said?")).text == TEXT
        assert (await client.stream("What is said?").reply()).text == TEXT


async def test_the_chunks_before_a_fault_stay(iron_simulator):
    async with opened(iron_simulator, {"kind": "error_event", "after_chunks": 3}) as client:
        chunks = []
        with pytest.raises(iron.UpstreamStatusError, match="The server had an error") as raised:
            async for chunk in client.stream("What is said?"):
                chunks.append(chunk)  # noqa: PERF401  (the error must find what came before it)
        assert "".join(chunk.text for chunk in chunks) == TEXT[:4]
        assert json.loads(raised.value.body)["error"]["type"] == "server_error"


async def test_a_page_is_kept_in_part_and_not_quoted(iron_simulator):
    page = "<html>secret" + "x" * 1_000_000
    fault = {"kind": "status", "status": 502, "body": {"text": page}}
    async with opened(iron_simulator, fault) as client:
        with pytest.raises(iron.UpstreamStatusError) as raised:
            await client.chat("What is said?")
    assert raised.value.body == page[: 64 * 1024].encode()
    assert "secret" not in str(raised.value)


async def test_a_redirect_leads_nowhere(iron_simulator):
    async with Simulator() as elsewhere:
        fault = {"kind": "redirect", "to": f"{elsewhere.url}/chat/completions", "status": 308}
        async with opened(iron_simulator, fault) as client:
            with pytest.raises(iron.UpstreamStatusError):
                await client.chat("What is said?")
        assert elsewhere.stats()["connections_opened"] == 0


def test_a_blocking_call_sees_the_same(iron_simulator):
    iron_simulator.set_rules(
        [{"fault": {"kind": "close", "at": {"after_chunks": 2}}, "reply": {"text": TEXT}}]
    )
    with iron_simulator.sync_client() as client:
        stream = client.stream("What is said?")
        with pytest.raises(iron.UpstreamConnectionError) as raised:
            for _ in stream:
                pass
        assert raised.value.retryable
        with pytest.raises(iron.IronError):
            stream.reply()
    assert iron_simulator.quiet()
    assert iron_simulator.stats()["requests"] == 1
