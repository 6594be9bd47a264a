"""Runs and policies of blocks: who a call is from, and what holds it."""

from __future__ import annotations

import asyncio

import pytest

import iron_sdk as iron

MODEL = "openai/gpt-6-luna"
CARD = "4111 1111 1111 1111"
NO_CARDS = [{"name": "cards", "what": ["CREDIT_CARD"], "direction": ["input"], "action": "redact"}]
NO_MAIL = [{"name": "mail", "what": ["EMAIL_ADDRESS"], "direction": ["input"], "action": "block"}]
ANYTHING = [{"name": "anything", "what": ["*"], "action": "allow"}]


def client_of(simulator, config=None, **options):
    return iron.Client(config or {}, base_url=simulator.url, api_key="sk-test", model=MODEL, **options)


def sent(simulator):
    return str(simulator.requests()[-1]["body"])


async def test_a_policy_holds_the_calls_of_its_block_and_of_its_tasks(iron_simulator):
    async with client_of(iron_simulator) as client:
        with iron.policy(NO_CARDS):
            reply = await asyncio.create_task(client.chat(f"Pay with {CARD}"))
            assert [finding.rule for finding in reply.findings] == ["cards"]
            assert CARD not in sent(iron_simulator)
        assert not (await client.chat(f"Pay with {CARD}")).findings
        assert CARD in sent(iron_simulator)


async def test_policies_nest_and_an_inner_one_loosens_nothing(iron_simulator):
    async with client_of(iron_simulator, {"policy": {"rules": NO_MAIL}}) as client:
        with iron.policy(NO_CARDS), iron.policy(ANYTHING):
            await client.chat(f"Pay with {CARD}", policy=iron.policy(ANYTHING))
            assert CARD not in sent(iron_simulator)
            with pytest.raises(iron.ContentBlockedError, match="mail"):
                await client.chat("Write to jane@example.org")


async def test_a_call_can_have_a_policy_of_its_own(iron_simulator):
    async with client_of(iron_simulator) as client:
        with pytest.raises(iron.ContentBlockedError, match="mail"):
            await client.chat("Write to jane@example.org", policy=iron.policy(NO_MAIL))
        with pytest.raises(
            iron.ConfigError, match=r"policy is of type list; give a policy made by iron\.policy"
        ):
            await client.chat("Hello", policy=NO_MAIL)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([], "policy.rules is empty"),
        ([{"what": ["secret"], "acton": "block"}], "did you mean `action`"),
        ([{"what": ["EMAIL"], "action": "block"}], r"policy\.rules\[0\]\.what"),
        ("secret", "policy.rules"),
    ],
)
def test_a_wrong_policy_is_told(rules, told):
    with pytest.raises(iron.ConfigError, match=told):
        iron.policy(rules)


async def test_events_tell_who_a_call_is_from(iron_simulator):
    async with client_of(iron_simulator, agent="service", tags=["eu"]) as client, iron.events() as events:
        await client.chat("Hello")
        with iron.run(tags=["beta"]), iron.run(agent="searcher", tags=["web"]):
            await asyncio.create_task(client.chat("Hello"))
        found = []
        async for event in events:
            if isinstance(event, iron.CallStarted):
                found.append((event.agent, event.tags))
            if len(found) == 2:
                break
    assert found == [("service", ("eu",)), ("searcher", ("eu", "beta", "web"))]


def test_an_inner_run_has_what_the_outer_one_has():
    with iron.run(agent="planner", tags=["eu"]) as outer:
        inner = iron.run(tags=["eu", "web"])
        assert (inner.agent, inner.tags) == ("planner", ("eu", "web"))
        assert repr(outer) == "<Run of 'planner', tags=['eu']>"
    assert iron.run().agent is None


@pytest.mark.parametrize(
    ("agent", "tags", "told"),
    [
        (3, (), "agent is of type int"),
        ("", (), "agent is empty"),
        ("a", "eu", "tags is the text 'eu'"),
        ("a", ["eu", ""], r"tags\[1\] is empty"),
        ("a", [3], r"tags\[0\] is of type int"),
        ("a\nb", (), "agent has a control character"),
    ],
)
def test_a_wrong_name_is_told(agent, tags, told):
    with pytest.raises(iron.ConfigError, match=told):
        iron.run(agent, tags=tags)
