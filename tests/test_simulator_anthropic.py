"""The simulator's Anthropic face, as Anthropic's own client sees it."""

from __future__ import annotations

import anthropic
import pytest
from pydantic import BaseModel

from iron_sdk.testing import Simulator

MODEL = "claude-sonnet-4-6"
ASK = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def open_client(simulator: Simulator, key: str = "sk-simulated") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=simulator.anthropic_url, api_key=key, max_retries=0)


def test_a_message_is_answered_and_counted(iron_simulator):
    with open_client(iron_simulator) as client:
        message = client.messages.create(model=MODEL, max_tokens=50, system="Be brief.", messages=ASK)
        counted = client.messages.count_tokens(model=MODEL, system="Be brief.", messages=ASK)
    assert [block.text for block in message.content] == ["echo: Hello"]
    assert (message.stop_reason, message.model) == ("end_turn", MODEL)
    assert message.usage.input_tokens == counted.input_tokens
    assert iron_simulator.quiet()
    stats = iron_simulator.stats()
    assert stats["by_model"][MODEL]["calls"] == 1
    assert stats["output_tokens"] == message.usage.output_tokens


def test_a_stream_gives_the_same_message():
    reply = {"text": "one two three four", "cached_tokens": 3, "cache_write_tokens": 2}
    with Simulator(rules=[{"reply": reply}]) as simulator, open_client(simulator) as client:
        plain = client.messages.create(model=MODEL, max_tokens=50, messages=ASK)
        with client.messages.stream(model=MODEL, max_tokens=50, messages=ASK) as stream:
            text = "".join(stream.text_stream)
            streamed = stream.get_final_message()
    assert text == "one two three four"
    assert streamed.content[0].text == text
    assert (streamed.stop_reason, streamed.usage.output_tokens) == (
        plain.stop_reason,
        plain.usage.output_tokens,
    )
    used = streamed.usage
    assert (used.cache_read_input_tokens, used.cache_creation_input_tokens) == (3, 2)


def test_tools_are_called_side_by_side():
    calls = [{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "weather"}]
    rules = [{"reply": {"text": "Both.", "tool_calls": calls}}]
    with Simulator(rules=rules) as simulator, open_client(simulator) as client:
        plain = client.messages.create(model=MODEL, max_tokens=90, messages=ASK, tools=[WEATHER])
        with client.messages.stream(model=MODEL, max_tokens=90, messages=ASK, tools=[WEATHER]) as stream:
            streamed = stream.get_final_message()
    for message in (plain, streamed):
        assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
        assert message.content[1].input == {"city": "Oslo"}
        assert isinstance(message.content[2].input["city"], str)
        assert message.stop_reason == "tool_use"


def test_thoughts_come_first_to_those_who_ask():
    rules = [{"reply": {"text": "Yes.", "thinking": "Let me see."}}]
    with Simulator(rules=rules) as simulator, open_client(simulator) as client:
        asked = {"model": MODEL, "max_tokens": 3_000, "messages": ASK, "thinking": {"type": "adaptive"}}
        plain = client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        without = client.messages.create(model=MODEL, max_tokens=50, messages=ASK)
    for message in (plain, streamed):
        thoughts, said = message.content
        assert (thoughts.thinking, said.text) == ("Let me see.", "Yes.")
        assert thoughts.signature
        assert message.usage.output_tokens_details.thinking_tokens == 3
    assert [block.type for block in without.content] == ["text"]


def test_a_reply_has_the_form_that_is_asked_for(iron_simulator):
    class Weather(BaseModel):
        city: str
        celsius: int

    with open_client(iron_simulator) as client:
        message = client.messages.parse(model=MODEL, max_tokens=200, messages=ASK, output_format=Weather)
    assert isinstance(message.parsed_output, Weather)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.OverloadedError),
    ],
)
def test_errors_are_of_the_right_class(status, error):
    rules = [{"fault": {"kind": "status", "status": status}}]
    with Simulator(rules=rules) as simulator, open_client(simulator) as client:
        with pytest.raises(error) as refused:
            client.messages.create(model=MODEL, max_tokens=50, messages=ASK)
        assert refused.value.body["type"] == "error"
        assert refused.value.request_id


@pytest.mark.parametrize(
    ("status", "error"), [(429, anthropic.RateLimitError), (529, anthropic.OverloadedError)]
)
def test_what_passes_is_tried_again_by_the_client_itself(status, error):
    refusal = {"kind": "status", "status": status, "retry_after": 0}
    ask = {"model": MODEL, "max_tokens": 50, "messages": ASK}
    with Simulator() as simulator, open_client(simulator).with_options(max_retries=2) as client:
        simulator.set_rules([{"times": 2, "fault": refusal}])
        assert client.messages.create(**ask).content[0].text == "echo: Hello"
        assert simulator.stats()["by_status"] == {str(status): 2, "200": 1}
        simulator.set_rules([{"fault": refusal}])
        with pytest.raises(error) as refused:
            client.messages.create(**ask)
    assert refused.value.status_code == status
    assert refused.value.response.headers["retry-after"] == "0"


def test_an_overload_in_the_middle_of_a_stream_is_an_error_of_its_kind():
    event = {"kind": "error_event", "after_chunks": 3}
    rules = [{"reply": {"text": "one two three"}, "fault": event}]
    with Simulator(rules=rules) as simulator, open_client(simulator) as client:
        texts = []
        with (
            pytest.raises(anthropic.APIStatusError, match="Overloaded") as broken,
            client.messages.stream(model=MODEL, max_tokens=50, messages=ASK) as stream,
        ):
            texts.extend(stream.text_stream)
    assert "one two three".startswith("".join(texts))
    assert broken.value.body["error"]["type"] == "overloaded_error"


def test_quotas_are_announced():
    limits = {"requests": 50, "tokens": 10_000}
    with Simulator(rate_limit_headers=limits) as simulator, open_client(simulator) as client:
        reply = client.messages.with_raw_response.create(model=MODEL, max_tokens=50, messages=ASK)
    told = {name: value for name, value in reply.headers.items() if name.startswith("anthropic-ratelimit-")}
    assert len(told) == 12
    assert told["anthropic-ratelimit-requests-remaining"] == "49"
    assert told["anthropic-ratelimit-output-tokens-limit"] == "10000"
    assert told["anthropic-ratelimit-tokens-reset"].endswith("Z")


def test_keys_fields_and_broken_streams_are_refused():
    broken = [{"when": {"stream": True}, "fault": {"kind": "error_event", "after_chunks": 2}}]
    with Simulator(api_key="sk-right", rules=broken) as simulator:
        with open_client(simulator, "sk-wrong") as client, pytest.raises(anthropic.AuthenticationError):
            client.messages.create(model=MODEL, max_tokens=50, messages=ASK)
        with open_client(simulator, "sk-right") as client:
            with pytest.raises(anthropic.BadRequestError, match="at least one message"):
                client.messages.create(model=MODEL, max_tokens=50, messages=[])
            with (
                client.messages.stream(model=MODEL, max_tokens=50, messages=ASK) as stream,
                pytest.raises(anthropic.APIStatusError, match="Overloaded"),
            ):
                stream.get_final_message()
