"""Anthropic, and vendors by name, through the same calls as OpenAI."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

import iron_sdk as iron
from iron_sdk.testing import Simulator

MODEL = "anthropic/claude-sonnet-4-6"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


async def test_a_message_has_openais_shape_and_anthropics_own_body(iron_simulator):
    async with iron_simulator.client(model=MODEL) as client:
        reply = await client.chat("Hello", max_tokens=50)
    assert (reply.text, reply.finish_reason, reply.upstream) == ("echo: Hello", "stop", MODEL)
    assert reply.message["role"] == "assistant"
    raw = json.loads(reply.raw)
    assert (raw["type"], raw["content"][0]["text"]) == ("message", "echo: Hello")
    assert reply.settlement == "settled"
    assert reply.cost > 0


async def test_a_stream_gives_the_reply_and_cost_of_the_plain_call():
    rules = [{"reply": {"text": "one two three four five", "cached_tokens": 4, "cache_write_tokens": 3}}]
    async with Simulator(rules=rules) as simulator, simulator.client(model=MODEL) as client:
        plain = await client.chat("Hello there, this is long enough", max_tokens=50)
        async with client.stream("Hello there, this is long enough", max_tokens=50) as stream:
            chunks = [chunk async for chunk in stream]
            streamed = await stream.reply()
    assert "".join(chunk.text for chunk in chunks) == streamed.text == plain.text
    assert (streamed.cost, streamed.usage) == (plain.cost, plain.usage)
    assert plain.usage.cached_input_tokens == 4
    assert plain.usage.cache_write_tokens == 3
    assert json.loads(chunks[0].raw)["type"] == "message_start"


async def test_thoughts_and_tools_over_two_turns():
    calls = [{"name": "weather", "arguments": {"city": "Oslo"}}]
    rules = [
        {"times": 1, "reply": {"thinking": "Hm.", "tool_calls": calls}},
        {"reply": {"text": "Sunny."}},
    ]
    async with Simulator(rules=rules) as simulator, simulator.client(model=MODEL) as client:
        conversation: list[object] = [{"role": "user", "content": "Weather?"}]
        asked = await client.chat(conversation, tools=[WEATHER], reasoning_effort="high", max_tokens=3_000)
        assert asked.message["reasoning_content"] == "Hm."
        assert asked.tool_calls[0].parsed_arguments() == {"city": "Oslo"}
        result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "sunny"}
        conversation += [asked.message, result]
        await client.chat(conversation, tools=[WEATHER], reasoning_effort="high", max_tokens=3_000)
        sent = simulator.requests()[1]["body"]["messages"]
    assert [block["type"] for block in sent[1]["content"]] == ["thinking", "tool_use"]
    assert sent[1]["content"] == json.loads(asked.raw)["content"]
    assert sent[2]["content"][0]["type"] == "tool_result"


async def test_images_and_structured_output(iron_simulator):
    class Weather(BaseModel):
        city: str

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}}
    content = [{"type": "text", "text": "Where?"}, image]
    async with iron_simulator.client(model=MODEL) as client:
        reply = await client.chat(
            [{"role": "user", "content": content}], response_format=Weather, max_tokens=90
        )
    assert isinstance(reply.parsed, Weather)
    assert reply.usage.input_tokens > 1_590


async def test_its_errors_are_ours():
    rules = [{"fault": {"kind": "status", "status": 529}}]
    async with Simulator(rules=rules) as simulator, simulator.client(model=MODEL, max_attempts=1) as client:
        with pytest.raises(iron.UpstreamStatusError, match="overloaded") as refused:
            await client.chat("Hello", max_tokens=50)
    assert (refused.value.status, refused.value.retryable) == (529, True)


async def test_key_and_address_come_from_anthropics_own_variables(monkeypatch):
    with Simulator(api_key="sk-ant-right") as simulator:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.anthropic_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-right")
        async with iron.Client({}, model=MODEL) as client:
            assert (await client.chat("Hello", max_tokens=50)).text == "echo: Hello"


async def test_what_a_provider_lacks_is_refused_or_left_out_and_said(iron_simulator):
    provider = {"base_url": iron_simulator.url, "api_key": "k"}
    config = {"providers": {"groq": provider}, "budget": {"unpriced": "allow"}}
    async with iron.Client(config, model="groq/m") as client:
        with pytest.raises(iron.ConfigError, match='"groq" does not take logit_bias'):
            await client.chat("Hello", logit_bias={"1": 2})
        with pytest.raises(iron.ConfigError, match='"groq" has no embeddings'):
            await client.embed("Hello")
    provider["unsupported_params"] = "drop"
    async with iron.Client(config, model="groq/m") as client:
        reply = await client.chat("Hello", logit_bias={"1": 2}, max_tokens=9)
    assert reply.warnings == ('logit_bias was left out: provider "groq" does not take it',)
    (sent,) = iron_simulator.requests()
    assert "logit_bias" not in sent["body"]
    assert sent["body"]["max_completion_tokens"] == 9


async def test_azure_is_found_by_the_variables_of_its_users(monkeypatch):
    with Simulator(api_key="sk-of-the-directory") as simulator:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", simulator.url.removesuffix("/v1"))
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "sk-of-the-directory")
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "sk-that-is-not-asked-for")
        async with iron.Client({}, model="azure/gpt-5-mini") as client:
            reply = await client.chat("Hello", max_tokens=20)
        deployed = {"providers": {"azure": {"api_version": "2024-10-21"}}}
        async with iron.Client(deployed, model="azure/gpt-5-mini") as client:
            await client.chat("Hello", max_tokens=20)
        requests = simulator.requests()
    assert reply.text == "echo: Hello"
    assert [request["path"] for request in requests] == [
        "/openai/v1/chat/completions",
        "/openai/deployments/gpt-5-mini/chat/completions",
    ]
    assert {request["headers"]["authorization"] for request in requests} == {"Bearer ...tory"}
    assert not any("api-key" in request["headers"] for request in requests)
