"""Plain calls: what is sent, and what comes back."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import typing
from decimal import Decimal

import pydantic
import pytest
from waiting import in_progress, until

import iron_sdk as iron

STALL = {"fault": {"kind": "stall", "at": "before_headers"}}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def sent(simulator):
    return simulator.requests()[-1]["body"]


async def test_text_is_what_the_user_says(iron_client, iron_simulator):
    reply = await iron_client.chat("Hello")
    assert reply.text == "echo: Hello"
    assert sent(iron_simulator)["messages"] == [{"role": "user", "content": "Hello"}]
    assert reply.message["content"] == "echo: Hello"
    assert reply.finish_reason == "stop"
    assert reply.upstream == "openai/gpt-6-luna"
    assert reply.attempts == 1
    assert reply.warnings == ()
    assert reply.findings == ()
    assert reply.settlement == "settled"


async def test_usage_and_cost_are_exact(iron_client, iron_simulator):
    iron_simulator.set_rules(
        [
            {
                "reply": {
                    "usage": {
                        "input_tokens": 1000,
                        "output_tokens": 10,
                        "cached_tokens": 400,
                        "reasoning_tokens": 4,
                    }
                }
            }
        ]
    )
    reply = await iron_client.chat("Hello")
    assert reply.usage == iron.Usage(1000, 400, 0, 10, 4)
    # openai/gpt-6-luna: 0.10, 0.01 and 0.50 US dollars for a million tokens.
    assert reply.cost == Decimal("0.000069")
    assert isinstance(reply.cost, Decimal)


async def test_conversations_cross_whole(iron_client, iron_simulator):
    messages = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "\u2600 \U0001f600 sunny"},
    ]
    await iron_client.chat(messages)
    assert sent(iron_simulator)["messages"] == messages


async def test_long_text_crosses_unchanged(iron_client, iron_simulator):
    text = "à\U0001f600x" * 5_000
    reply = await iron_client.chat(text, max_tokens=10)
    assert sent(iron_simulator)["messages"][0]["content"] == text
    assert reply.finish_reason == "length"


async def test_parameters_pass_through(iron_client, iron_simulator):
    await iron_client.chat(
        "Hello",
        model="openai/gpt-4o",
        temperature=0.5,
        seed=2**63,
        stop=["a", "b"],
        logit_bias={"1": -100},
        zebra={"deep": [True, None, 1.5, {}, []]},
        extra_body={"vendor": "x"},
        max_tokens=None,
    )
    body = sent(iron_simulator)
    assert body["model"] == "gpt-4o"
    assert body["temperature"] == 0.5
    assert body["seed"] == 2**63
    assert body["stop"] == ["a", "b"]
    assert body["logit_bias"] == {"1": -100}
    assert body["zebra"] == {"deep": [True, None, 1.5, {}, []]}
    assert body["vendor"] == "x"


async def test_tools_are_called_and_answered(iron_client, iron_simulator):
    call = {"name": "weather", "arguments": {"city": "Oslo"}}
    iron_simulator.set_rules([{"reply": {"tool_calls": [call, call]}, "times": 1}])
    reply = await iron_client.chat("How is it in Oslo?", tools=[TOOL], parallel_tool_calls=True)
    assert reply.text == ""
    assert [call.name for call in reply.tool_calls] == ["weather", "weather"]
    assert reply.tool_calls[0].parsed_arguments() == {"city": "Oslo"}
    results = [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in reply.tool_calls]
    conversation = [{"role": "user", "content": "How is it in Oslo?"}, reply.message, *results]
    await iron_client.chat(conversation, tools=[TOOL])
    assert sent(iron_simulator)["messages"] == conversation


async def test_arguments_that_are_no_object_are_told(iron_client, iron_simulator):
    iron_simulator.set_rules(
        [{"reply": {"tool_calls": [{"name": "f", "arguments": "[1"}, {"name": "f", "arguments": "1"}]}}]
    )
    first, second = (await iron_client.chat("Hello")).tool_calls
    with pytest.raises(ValueError, match=r"delimiter|Expecting"):
        first.parsed_arguments()
    with pytest.raises(ValueError, match="not a JSON object"):
        second.parsed_arguments()


async def test_n_gives_that_many_choices(iron_client):
    reply = await iron_client.chat("Hello", n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert {choice.text for choice in reply.choices} == {"echo: Hello"}


async def test_raw_is_the_provider_s_body(iron_client):
    reply = await iron_client.chat("Hello")
    assert json.loads(reply.raw) == reply.json()
    assert reply.json()["object"] == "chat.completion"
    assert "Hello" not in repr(reply)


class Person(pydantic.BaseModel):
    name: str
    age: int
    friends: list[Person] = []


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@dataclasses.dataclass
class Box:
    size: Size
    weight: float
    holds: typing.Optional["Box"]  # noqa: UP037, UP045 - as on 3.10
    kind: typing.Literal["a", "b"]
    tags: list[str]


async def test_a_pydantic_model_is_parsed(iron_client, iron_simulator):
    text = '{"name": "Ann", "age": 3, "friends": []}'
    iron_simulator.set_rules([{"reply": {"text": text}}])
    reply = await iron_client.chat("Who?", response_format=Person)
    assert reply.parsed == Person(name="Ann", age=3)
    assert reply.parsed is reply.parsed
    described = sent(iron_simulator)["response_format"]["json_schema"]
    assert described["strict"] is True
    person = described["schema"]["$defs"]["Person"]
    assert person["additionalProperties"] is False
    assert person["required"] == ["name", "age", "friends"]


async def test_a_dataclass_is_parsed(iron_client, iron_simulator):
    text = '{"size": "small", "weight": 1, "holds": null, "kind": "a", "tags": ["x"]}'
    iron_simulator.set_rules([{"reply": {"text": text}}])
    reply = await iron_client.chat("What?", response_format=Box)
    assert reply.parsed == Box(Size.SMALL, 1.0, None, "a", ["x"])
    assert sent(iron_simulator)["response_format"]["json_schema"]["name"] == "Box"


async def test_what_the_simulator_makes_of_a_schema_is_parsed(iron_client):
    reply = await iron_client.chat("What?", response_format=Box)
    assert isinstance(reply.parsed, Box)


@pytest.mark.parametrize("text", ['{"size": "small"}', "[]", '{"size": "huge"}', "no"])
async def test_text_that_is_no_instance_is_told_when_parsed(iron_client, iron_simulator, text):
    iron_simulator.set_rules([{"reply": {"text": text}}])
    reply = await iron_client.chat("What?", response_format=Box, validate_output=False)
    with pytest.raises(iron.OutputInvalidError, match="refused by the class") as caught:
        _ = reply.parsed
    assert isinstance(caught.value.__cause__, ValueError)
    reply = await iron_client.chat("Who?", response_format=Person, validate_output=False)
    with pytest.raises(iron.OutputInvalidError) as caught:
        _ = reply.parsed
    assert isinstance(caught.value.__cause__, pydantic.ValidationError)


async def test_a_refusal_has_nothing_parsed(iron_client, iron_simulator):
    iron_simulator.set_rules([{"reply": {"refusal": "No."}}])
    reply = await iron_client.chat("Who?", response_format=Person)
    assert reply.parsed is None
    assert reply.text == ""
    assert reply.message["refusal"] == "No."


async def test_message_objects_of_other_libraries_are_taken(iron_client, iron_simulator):
    from openai.types.chat import ChatCompletion

    reply = await iron_client.chat("Hello")
    theirs = ChatCompletion.model_validate_json(reply.raw).choices[0].message
    await iron_client.chat([theirs, {"role": "user", "content": "Again"}])
    assert sent(iron_simulator)["messages"][0]["content"] == "echo: Hello"


async def test_retries_are_counted(iron_client, iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "status", "status": 429, "retry_after": 0}, "times": 1}])
    reply = await iron_client.chat("Hello")
    assert reply.attempts == 2


async def test_many_calls_at_once(iron_client, iron_simulator):
    replies = await asyncio.gather(*(iron_client.chat(f"number {n}") for n in range(200)))
    assert [reply.text for reply in replies] == [f"echo: number {n}" for n in range(200)]
    assert len({reply.request_id for reply in replies}) == 200
    assert await iron_simulator.aquiet()
    assert iron_simulator.stats()["served"] == 200


async def test_the_whole_call_is_timed(iron_client, iron_simulator):
    iron_simulator.set_rules([STALL])
    with pytest.raises(iron.UpstreamTimeoutError) as caught:
        await iron_client.chat("Hello", timeout=0.05)
    assert caught.value.phase == "total"
    assert isinstance(caught.value, TimeoutError)


async def test_closing_waits_for_calls_in_flight(iron_client, iron_simulator):
    iron_simulator.set_rules([{"latency_ms": 50}])
    call = asyncio.create_task(iron_client.chat("Hello"))
    await until(in_progress(iron_simulator, 1))
    assert iron_client.in_flight == 1
    await iron_client.aclose()
    assert iron_client.in_flight == 0
    assert (await call).text == "echo: Hello"
    with pytest.raises(iron.ClosedError) as caught:
        await iron_client.chat("Hello")
    assert caught.value.request_id


async def test_leaving_by_an_error_waits_for_nobody(iron_simulator):
    iron_simulator.set_rules([STALL])
    with pytest.raises(ZeroDivisionError):
        async with iron_simulator.client() as client:
            call = asyncio.create_task(client.chat("Hello"))
            await until(in_progress(iron_simulator, 1))
            raise ZeroDivisionError
    call.cancel()


async def test_the_module_s_functions_use_one_configured_client(iron_simulator):
    iron.configure({}, base_url=iron_simulator.url, api_key="k", model="openai/gpt-6-luna", budget="1")
    assert (await iron.chat("Hello")).text == "echo: Hello"
    async with iron.stream("Hello") as stream:
        assert "".join([chunk.text async for chunk in stream]) == "echo: Hello"
    assert len(await iron.embed("a", model="openai/text-embedding-3-small")) == 1
    with pytest.raises(iron.ConfigError):
        iron.configure({"zebra": 1})
    assert (await iron.chat("Hello")).text == "echo: Hello"
