"""Policies on calls: what is sent, what is shown, and what an error tells."""

from __future__ import annotations

import json

import pytest

import iron_sdk as iron
from iron_sdk.testing import Simulator

KEY = "AKIAQ3EGRZ2VMX7LTWHB"
CARD = "4111 1111 1111 1111"
RULES = [
    {"name": "cards", "what": ["CREDIT_CARD"], "action": "mask"},
    {"name": "keys", "what": ["secret"], "action": "block"},
]


@pytest.fixture
def client(iron_simulator):
    settings = {"policy": {"rules": RULES}}
    return iron.Client(settings, base_url=iron_simulator.url, api_key="k", model="openai/gpt-6-luna")


async def test_findings_tell_what_was_done_and_never_the_text(client, iron_simulator):
    reply = await client.chat(f"Charge {CARD}")
    sent = iron_simulator.requests()[-1]["body"]["messages"][0]["content"]
    assert sent == "Charge **** **** **** 1111"
    assert reply.text == "echo: Charge **** **** **** 1111"
    (finding,) = reply.findings
    assert finding == iron.Finding("CREDIT_CARD", "input", "mask", "cards", finding.score)
    assert 0.5 <= finding.score <= 1
    assert CARD not in repr(reply) + repr(reply.findings)


async def test_a_blocked_request_is_not_sent(client, iron_simulator):
    with pytest.raises(iron.ContentBlockedError) as caught:
        await client.chat(f"Deploy with {KEY}")
    error = caught.value
    assert (error.rule, error.direction, error.entity) == ("keys", "input", "API_KEY")
    assert error.request_id
    assert not error.retryable
    assert KEY not in str(error) + repr(error)
    assert iron_simulator.requests() == []


async def test_what_a_reply_says_is_judged_where_the_caller_reads_it(client, iron_simulator):
    iron_simulator.set_rules([{"reply": {"text": f"It is {CARD}."}}])
    reply = await client.chat("Which card?")
    assert reply.text == "It is **** **** **** 1111."
    assert CARD not in json.dumps(reply.json()) + reply.raw.decode()
    assert reply.usage.output_tokens > 0
    iron_simulator.set_rules([{"reply": {"text": KEY}}])
    with pytest.raises(iron.ContentBlockedError, match="output"):
        await client.chat("Which key?")


async def test_a_stream_shows_what_the_rules_leave(client):
    async with client.stream(f"Charge {CARD} today, please") as stream:
        text = "".join([chunk.text async for chunk in stream])
        reply = await stream.reply()
    assert text == reply.text == "echo: Charge **** **** **** 1111 today, please"


async def test_a_block_ends_a_stream():
    with Simulator(rules=[{"reply": {"text": f"Here you are: {KEY} is the key, and more"}}]) as simulator:
        settings = {"policy": {"rules": RULES}}
        client = iron.Client(settings, base_url=simulator.url, api_key="k", model="openai/gpt-6-luna")
        shown = ""
        with pytest.raises(iron.ContentBlockedError) as caught:
            async with client.stream("the key, please") as stream:
                async for chunk in stream:
                    shown += chunk.text
        assert shown == "Here you are: "
        assert (caught.value.rule, caught.value.direction) == ("keys", "output")
        assert KEY not in str(caught.value)
