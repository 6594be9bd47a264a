"""What replies have to be, and what becomes of those that are something else."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import until

import iron_sdk as iron

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "inhabitants": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
ASKED = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": False}}
RIGHT = '{"city": "Oslo", "inhabitants": 717710}'
WRONG = '{"city": "Oslo", "inhabitants": "hidden"}'


def answers(*texts):
    return [{"reply": {"text": list(texts)}}]


async def test_a_reply_that_does_not_fit_raises_with_places_and_cost(iron_client, iron_simulator):
    iron_simulator.set_rules(answers(WRONG))
    with pytest.raises(iron.OutputInvalidError) as caught:
        await iron_client.chat("Where?", response_format=ASKED)
    error = caught.value
    assert error.violations == (iron.Violation("inhabitants", 'the value is not of type "integer"'),)
    assert error.upstream == "openai/gpt-6-luna"
    assert error.cost > 0
    assert (error.repairs, error.finish_reason, error.retryable) == (0, None, True)
    assert isinstance(error.request_id, str)
    again = pickle.loads(pickle.dumps(error))
    assert again.violations == error.violations
    assert "hidden" not in f"{error!r}{error}{vars(error)}"


async def test_validation_is_turned_off_by_call_and_by_setting(iron_client, iron_simulator):
    iron_simulator.set_rules(answers(WRONG))
    reply = await iron_client.chat("Where?", response_format=ASKED, validate_output=False)
    assert reply.text == WRONG
    config = {"output": {"validate": False}}
    async with iron.Client(
        config, base_url=iron_simulator.url, api_key="k", model="openai/gpt-6-luna"
    ) as client:
        assert (await client.chat("Where?", response_format=ASKED)).text == WRONG
        with pytest.raises(iron.OutputInvalidError):
            await client.chat("Where?", response_format=ASKED, validate_output=True)


async def test_an_answer_is_repaired_and_the_sum_is_told(iron_client, iron_simulator):
    iron_simulator.set_rules(answers("Oslo", WRONG, RIGHT))
    async with iron.events() as events:
        reply = await iron_client.chat("Where?", response_format=ASKED, max_repairs=5)
        kinds = []
        async for event in events:
            kinds.append(event)
            if isinstance(event, iron.CallFinished):
                break
    assert json.loads(reply.text)["inhabitants"] == 717710
    assert (reply.repairs, reply.attempts) == (2, 3)
    # It counts what it has sent, which may come before that.
    await until(lambda: iron_simulator.stats()["output_tokens"] == reply.usage.output_tokens)
    assert [event.repair for event in kinds if isinstance(event, iron.CallRepaired)] == [1, 2]
    assert iron_client.stats().repairs == 2


async def test_repairs_are_bounded_and_held_to_the_budget(iron_client, iron_simulator):
    iron_simulator.set_rules(answers("Oslo"))
    with pytest.raises(iron.OutputInvalidError) as caught:
        await iron_client.chat("Where?", response_format=ASKED, max_repairs=2)
    assert caught.value.repairs == 2
    assert caught.value.__cause__ is None
    assert len(iron_simulator.requests()) == 3
    one = iron_client.estimate("Where?", response_format=ASKED, max_tokens=100).cost
    with iron.budget(usd=one) as budget, pytest.raises(iron.OutputInvalidError) as caught:
        await iron_client.chat("Where?", response_format=ASKED, max_repairs=2, max_tokens=100)
    assert isinstance(caught.value.__cause__, iron.BudgetExceededError)
    assert caught.value.cost == budget.spent
    assert budget.held == Decimal(0)


def test_the_blocking_client_does_the_same(iron_simulator):
    iron_simulator.set_rules(answers("Oslo", RIGHT, "Oslo"))
    with iron.SyncClient(base_url=iron_simulator.url, api_key="k", model="openai/gpt-6-luna") as client:
        assert client.chat("Where?", response_format=ASKED, max_repairs=1).repairs == 1
        with pytest.raises(iron.OutputInvalidError):
            client.chat("Where?", response_format=ASKED)
        with client.stream("Where?", response_format=ASKED) as stream, pytest.raises(iron.OutputInvalidError):
            stream.reply()


async def test_a_stream_raises_at_its_end(iron_client, iron_simulator):
    iron_simulator.set_rules(answers(WRONG))
    shown = ""
    stream = iron_client.stream("Where?", response_format=ASKED)
    with pytest.raises(iron.OutputInvalidError) as caught:
        async for chunk in stream:
            shown += chunk.text
    assert shown == WRONG
    assert caught.value.cost > 0
    with pytest.raises(iron.OutputInvalidError):
        await stream.reply()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_repairs": -1}, "max_repairs is -1"),
        ({"max_repairs": True}, "max_repairs is of type bool"),
        ({"validate_output": 1}, "validate_output is of type int"),
        ({"max_repairs": 1}, "max_repairs has nothing to repair"),
        ({"max_repairs": 1, "response_format": ASKED, "n": 2}, "max_repairs has no meaning with n"),
        (
            {"response_format": {"type": "json_schema", "schema": {"type": "x"}}},
            "response_format.schema is no",
        ),
    ],
)
async def test_what_cannot_be_asked_is_refused_unsent(iron_client, iron_simulator, options, message):
    with pytest.raises(iron.ConfigError, match=message):
        await iron_client.chat("Where?", **options)
    assert not iron_simulator.requests()


async def test_embeddings_have_nothing_to_validate(iron_client):
    with pytest.raises(iron.ConfigError, match="max_repairs has no meaning for embeddings"):
        await iron_client.embed("x", max_repairs=1)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
schemas = st.recursive(
    st.fixed_dictionaries({"type": types | st.lists(types, min_size=1, max_size=3, unique=True)})
    | st.fixed_dictionaries({"enum": st.lists(values, min_size=1, max_size=3)})
    | st.fixed_dictionaries({}, optional={"minimum": st.integers(-2, 2), "maxLength": st.integers(0, 3)})
    | st.fixed_dictionaries({"pattern": st.sampled_from(["^a", "b$", "[ab]+"])}),
    lambda inner: (
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3)},
            optional={
                "required": st.lists(st.sampled_from("abc"), unique=True),
                "additionalProperties": st.booleans() | inner,
            },
        )
        | st.fixed_dictionaries(
            {"items": inner}, optional={"minItems": st.integers(0, 2), "uniqueItems": st.booleans()}
        )
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"not": inner})
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schema=schemas, value=values)
def test_validation_agrees_with_another_validator(iron_simulator, schema, value):
    iron_simulator.set_rules(answers(json.dumps(value)))
    fits = jsonschema.Draft202012Validator(schema).is_valid(value)
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    try:
        _client(iron_simulator.url).chat("x", response_format=asked)
    except iron.OutputInvalidError:
        assert not fits
    else:
        assert fits


_clients: dict[str, iron.SyncClient] = {}


def _client(url):
    if url not in _clients:
        _clients[url] = iron.SyncClient(base_url=url, api_key="k", model="openai/gpt-6-luna")
    return _clients[url]
