"""Wrong arguments: raised at once, with what is wrong and what would be right, and nothing sent."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal

import pytest

import iron_sdk as iron

USER = {"role": "user", "content": "Hello"}


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def cycle():
    value = {}
    value["self"] = value
    return value


class Opaque:
    pass


MESSAGES = [
    ("", "messages is empty; give text, or a list"),
    ([], "messages is empty; give text, or a list"),
    (None, "messages is of type NoneType; give text, or a list"),
    (7, "messages is of type int; give text, or a list"),
    ({"role": "user", "content": "x"}, "messages is of type dict; give text, or a list"),
    (["Hello"], r"messages\[0\] is of type str; give a dict such as"),
    ([Opaque()], r"messages\[0\] is of type Opaque"),
    ([USER, {"content": "x"}], r"messages\[1\] has no \"role\"; give one of developer, system, user"),
    ([{"role": "boss", "content": "x"}], r'messages\[0\].role is "boss"; give one of developer'),
    ([{"role": 1, "content": "x"}], r"messages\[0\].role is of type int; give text"),
    ([{"role": "user"}], r"messages\[0\] has no \"content\"; give what is said"),
    ([{"role": "user", "content": None}], r"messages\[0\].content is None, which only assistant"),
    (
        [{"role": "user", "content": 5}],
        r"messages\[0\].content is of type int; give text, or a list of parts",
    ),
    ([{"role": "user", "content": b"x"}], r"messages\[0\].content is of type bytes"),
    ([{"role": "user", "content": []}], r"messages\[0\].content is an empty list"),
    ([{"role": "user", "content": ["x"]}], r"messages\[0\].content\[0\] is of type str; give a dict"),
    ([{"role": "user", "content": [{}]}], r'messages\[0\].content\[0\] has no "type"'),
    ([{"role": "user", "content": [{"type": "text"}]}], r'messages\[0\].content\[0\] has no "text"'),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
        r'messages\[0\].content\[0\].image_url has no "url"',
    ),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": "http://x"}]}],
        r"messages\[0\].content\[0\].image_url is of type str; give a dict",
    ),
    ([{"role": "tool", "content": "x"}], r'messages\[0\] answers a tool call but has no "tool_call_id"'),
    ([{1: "x", **USER}], r"messages\[0\] is of type int; give only text as key"),
    ("\ud800", "messages holds a lone surrogate"),
    ([USER, {"role": "user", "content": "a\udfff"}], r"messages\[1\].content holds a lone surrogate"),
    (
        [{"role": "assistant", "tool_calls": [{"function": {"arguments": math.nan}}]}],
        r"messages\[0\].tool_calls\[0\].function.arguments is nan",
    ),
]

OPTIONS = [
    ({"model": ""}, "model is empty; give text such as"),
    ({"model": 5}, "model is of type int; give text such as"),
    ({"model": "gpt-5-mini"}, 'did you mean "openai/gpt-5-mini"'),
    ({"model": "openai/gpt-5-mni"}, "gpt-5-mini"),
    ({"temperature": math.nan}, "temperature is nan, which JSON has no number for; give a finite number"),
    ({"temperature": -math.inf}, "temperature is -inf"),
    ({"timeout": 0}, "timeout is 0; give seconds as a number above 0"),
    ({"timeout": -1.5}, "timeout is -1.5"),
    ({"timeout": math.nan}, "timeout is nan"),
    ({"timeout": 10**400}, "timeout is inf"),
    ({"timeout": "5"}, "timeout is of type str; give seconds"),
    ({"timeout": True}, "timeout is of type bool"),
    ({"max_cost": 0.5}, "max_cost is a float, which cannot hold every cent exactly; give text"),
    ({"max_cost": "-1"}, "max_cost is -1.00 USD; an amount cannot be negative"),
    ({"max_cost": "1.0000000001"}, "max_cost .* more than nine digits"),
    ({"max_cost": Decimal("NaN")}, "max_cost .* not an amount"),
    ({"max_cost": "five"}, "max_cost .* not an amount"),
    ({"max_cost": True}, "max_cost is of type bool"),
    ({"max_cost": 10**30}, "max_cost is too large"),
    ({"max_attempts": 0}, "max_attempts is 0; give a whole number from 1"),
    ({"max_tokens": 0}, "max_tokens is 0; give a whole number from 1"),
    ({"max_tokens": -5}, "max_tokens is -5"),
    ({"max_tokens": 2**32}, "max_tokens is 4294967296"),
    ({"max_tokens": 1.5}, "max_tokens is of type float"),
    ({"max_tokens": 1, "max_completion_tokens": 2}, "max_completion_tokens differs"),
    ({"n": True}, "n is of type bool; give a whole number"),
    ({"stream": True}, r"stream is not an argument; call stream\(...\)"),
    ({"seed": 2**64}, "seed is an integer beyond 64 bits"),
    ({"tools": {1, 2}}, "tools is of type set; give"),
    ({"tools": [{"function": Opaque()}]}, r"tools\[0\].function is of type Opaque"),
    ({"tools": [{"function": {2: 3}}]}, r"tools\[0\].function is of type int; give only text as key"),
    ({"stop": ["a", "\udc00"]}, r"stop\[1\] holds a lone surrogate"),
    ({"metadata": {"\udc00": 1}}, "metadata holds a lone surrogate"),
    ({"response_format": int}, "response_format is the class int; give a Pydantic model"),
    ({"response_format": 5}, "response_format is of type int; give"),
    ({"extra_body": []}, "extra_body is of type list; give a dict"),
    ({"extra_body": {"messages": []}}, "extra_body.messages is an argument of its own"),
    ({"extra_body": {"temperature": math.inf}}, "extra_body.temperature is inf"),
]


@pytest.mark.parametrize(
    ("messages", "message"), MESSAGES, ids=[repr(messages)[:60] for messages, _ in MESSAGES]
)
async def test_wrong_messages_are_told(iron_client, iron_simulator, messages, message):
    with pytest.raises(iron.ConfigError, match=message) as caught:
        await iron_client.chat(messages)
    assert isinstance(caught.value, ValueError)
    assert caught.value.code == "config"
    with pytest.raises(iron.ConfigError, match=message):
        iron_client.stream(messages)
    assert iron_simulator.stats()["requests"] == 0


@pytest.mark.parametrize(("options", "message"), OPTIONS, ids=repr)
async def test_wrong_options_are_told(iron_client, iron_simulator, options, message):
    with pytest.raises(iron.ConfigError, match=message):
        await iron_client.chat("Hello", **options)
    assert iron_simulator.stats()["requests"] == 0


async def test_values_without_a_bottom_are_told(iron_client):
    with pytest.raises(iron.ConfigError, match=r"zebra(.self)+ is nested more than 120 levels deep"):
        await iron_client.chat("Hello", zebra=cycle())
    with pytest.raises(iron.ConfigError, match=r"zebra(\[0\])+ is nested more than 120 levels deep"):
        await iron_client.chat("Hello", zebra=deep(10_000))
    await iron_client.chat("Hello", zebra=deep(100))


INPUTS = [
    ([], "input is empty; give text, or a list of texts"),
    ("", "input is empty"),
    (["a", ""], r"input\[1\] is empty"),
    (["a", 1], r"input\[1\] is of type int; give text"),
    ("\ud800", "input holds a lone surrogate"),
]


@pytest.mark.parametrize(("texts", "message"), INPUTS)
async def test_wrong_inputs_are_told(iron_client, texts, message):
    with pytest.raises(iron.ConfigError, match=message):
        await iron_client.embed(texts, model="openai/text-embedding-3-small")


async def test_embeddings_have_no_output_to_bound(iron_client):
    with pytest.raises(iron.ConfigError, match="max_tokens has no meaning for embeddings"):
        await iron_client.embed("a", model="openai/text-embedding-3-small", max_tokens=5)


async def test_a_prompt_of_50_mb_is_sent(iron_client, iron_simulator):
    reply = await iron_client.chat("x" * 50_000_000, max_tokens=10)
    assert reply.finish_reason == "length"
    assert reply.usage.input_tokens > 12_500_000
    assert await iron_simulator.aquiet()
    assert iron_simulator.stats()["served"] == 1


async def test_a_request_above_64_mib_is_refused(iron_client):
    half = "x" * 40_000_000
    with pytest.raises(iron.ConfigError, match=r"messages\[1\].content brings the request above 64 MiB"):
        await iron_client.chat([{"role": "user", "content": half}, {"role": "user", "content": half}])
    with pytest.raises(iron.ConfigError, match=r"zebra.*brings the request above 64 MiB"):
        await iron_client.chat("Hello", zebra=[half, half])


BUDGETS = [
    (-1, "usd is -1.00 USD; an amount cannot be negative"),
    (0.5, "usd is a float"),
    ("0.0000000001", "usd .* more than nine digits"),
    (None, "usd is of type NoneType; give text such as"),
    ("\ud800", "usd holds a lone surrogate"),
]


@pytest.mark.parametrize(("usd", "message"), BUDGETS, ids=repr)
def test_wrong_budgets_are_told(usd, message):
    with pytest.raises(iron.ConfigError, match=message):
        iron.budget(usd)


SETTINGS = [
    ({"config": 5}, "config is of type int; give a path"),
    ({"config": {"zebra": 1}}, "unknown key `zebra`"),
    ({"config": {"budget": 5}}, "config: budget is an integer: give a table"),
    (
        {"config": {"budget": 5}, "budget": "1"},
        "config: budget is an integer: give a table, as argument budget does",
    ),
    ({"config": {}, "profile": 5}, "profile is of type int; give the name of a profile"),
    ({"config": {}, "profile": "x"}, "argument profile: unknown profile `x`: the configuration has none"),
    ({"config": "/nowhere/iron.toml"}, "/nowhere/iron.toml"),
    ({"config": {}, "budget": 0.5}, "written as text"),
    ({"config": {}, "budget": "-1"}, "argument budget: budget.limit_usd is negative"),
    ({"config": {}, "timeout": math.nan}, "timeout is nan; give seconds"),
    ({"config": {}, "timeout": "5"}, "timeout is of type str; give seconds"),
    ({"config": {}, "model": "gpt-5-mni"}, 'unknown model "gpt-5-mni": write "provider/model"'),
    ({"config": {}, "max_attempts": 0}, "max_attempts"),
    ({"config": {}, "base_url": "not a url"}, "base_url"),
]


@pytest.mark.parametrize("kind", [iron.Client, iron.SyncClient], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("settings", "message"), SETTINGS, ids=repr)
def test_wrong_settings_are_told(kind, settings, message):
    with pytest.raises(iron.ConfigError, match=message):
        kind(**settings)


def test_without_a_loop_there_is_no_call(iron_client):
    call = iron_client.chat("Hello")
    with pytest.raises(RuntimeError, match=r"no running event loop: .* uses iron\.SyncClient"):
        call.send(None)


async def test_an_exception_of_an_argument_s_own_code_passes_through(iron_client):
    class Breaks:
        def model_dump(self, **_):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await iron_client.chat([Breaks()])
    with pytest.raises(ZeroDivisionError):
        await iron_client.chat("Hello", tools=[Breaks()])


async def test_wrong_arguments_leave_nothing_behind(iron_client):
    for _ in range(100):
        with pytest.raises(iron.ConfigError):
            await iron_client.chat([])
    assert iron_client.in_flight == 0
    assert (await asyncio.wait_for(iron_client.chat("Hello"), 10)).text == "echo: Hello"
