"""`iron router` in front of the simulator, asked by OpenAI's own client."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import contextmanager

import openai
import pydantic
import pytest
from command import environment, iron, running

from iron_sdk.testing import Simulator

HELLO = {"model": "openai/gpt-6-luna", "messages": [{"role": "user", "content": "Hello"}]}


@contextmanager
def routed(iron_simulator, tmp_path, settings=""):
    """Run a router whose OpenAI is the simulator; yield its URL."""
    file = tmp_path / "iron.toml"
    usual = '[retry]\nmax_attempts = 1\n[router]\nlisten = "127.0.0.1:0"\n'
    file.write_text(usual + settings, encoding="utf-8")
    env = environment(OPENAI_BASE_URL=iron_simulator.url, OPENAI_API_KEY="sk-provider")
    with running("router", "--config", str(file), env=env) as process:
        yield process.stdout.readline().decode().strip()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


@contextmanager
def client_of(url, **options):
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0, **options) as client:
        yield client


@pytest.fixture
def client(iron_simulator, tmp_path):
    with routed(iron_simulator, tmp_path) as url, client_of(url) as client:
        yield client


def test_a_reply_is_that_of_the_provider(client, iron_simulator):
    through = client.chat.completions.create(**HELLO)
    with client_of(iron_simulator.url) as straight:
        direct = straight.chat.completions.create(**{**HELLO, "model": "gpt-6-luna"})
    assert through.choices == direct.choices
    assert through.usage == direct.usage


def test_a_stream_and_its_helper(client):
    with client.chat.completions.create(**HELLO, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "echo: Hello"
    with client.chat.completions.stream(**HELLO, stream_options={"include_usage": True}) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds
    assert final.choices[0].message.content == "echo: Hello"
    assert final.usage.total_tokens > 0


async def test_the_async_client(iron_simulator, tmp_path):
    with routed(iron_simulator, tmp_path) as url:
        async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
            reply = await client.chat.completions.create(**HELLO)
            assert reply.choices[0].message.content == "echo: Hello"
            async with await client.chat.completions.create(**HELLO, stream=True) as stream:
                texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(texts) == "echo: Hello"


def test_tools_go_both_ways(client, iron_simulator):
    iron_simulator.set_rules([{"reply": {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]}}])
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    message = client.chat.completions.create(**HELLO, tools=tools).choices[0].message
    assert json.loads(message.tool_calls[0].function.arguments) == {"a": 1, "b": 2}
    iron_simulator.set_rules([])
    answer = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "3"}
    asked = [*HELLO["messages"], message.model_dump(exclude_none=True), answer]
    client.chat.completions.create(model=HELLO["model"], messages=asked, tools=tools)
    assert [sent["role"] for sent in iron_simulator.requests()[-1]["body"]["messages"]] == [
        "user",
        "assistant",
        "tool",
    ]


def test_structured_output_is_parsed(client, iron_simulator):
    class Sum(pydantic.BaseModel):
        total: int

    iron_simulator.set_rules([{"reply": {"text": '{"total": 3}'}}])
    completion = client.chat.completions.parse(**HELLO, response_format=Sum)
    assert completion.choices[0].message.parsed == Sum(total=3)


def test_embeddings_and_models(client):
    vectors = client.embeddings.create(model="openai/text-embedding-3-small", input=["a", "b"]).data
    assert len(vectors) == 2
    names = {model.id for model in client.models.list()}
    assert "openai/gpt-6-luna" in names
    assert client.models.retrieve("openai/gpt-6-luna").owned_by == "openai"


def test_raw_headers_tell_of_the_call(client):
    raw = client.chat.completions.with_raw_response.create(**HELLO)
    assert raw.headers["x-iron-upstream"] == "openai/gpt-6-luna"
    assert float(raw.headers["x-iron-cost-usd"]) > 0
    assert raw.request_id == raw.headers["x-iron-request-id"]


NO_MONEY = "[budget]\nlimit_usd = 0\n"
NO_HELLO = """
[policy.keywords]
words = ["Hello"]
[[policy.rules]]
what = ["keyword:words"]
action = "block"
"""


def status(number):
    return [{"fault": {"kind": "status", "status": number}}]


@pytest.mark.parametrize(
    "case",
    [
        ([], NO_MONEY, openai.APIStatusError, "budget_exceeded"),
        ([], NO_HELLO, openai.BadRequestError, "content_blocked"),
        (status(429), "", openai.RateLimitError, "rate_limited"),
        (status(400), "", openai.BadRequestError, None),
        (status(404), "", openai.NotFoundError, None),
        (status(422), "", openai.UnprocessableEntityError, None),
        (status(500), "", openai.InternalServerError, None),
        (status(401), "", openai.InternalServerError, None),
        (
            [{"fault": {"kind": "reset", "at": "before_headers"}}],
            "",
            openai.InternalServerError,
            "upstream_connection",
        ),
    ],
)
def test_each_refusal_is_the_clients_own_exception(iron_simulator, tmp_path, case):
    rules, settings, raised, code = case
    iron_simulator.set_rules(rules)
    with (
        routed(iron_simulator, tmp_path, settings) as url,
        client_of(url) as client,
        pytest.raises(raised) as refused,
    ):
        client.chat.completions.create(**HELLO)
    assert refused.value.request_id
    assert code is None or refused.value.code == code


def test_a_model_that_nobody_knows_is_not_found(client):
    with pytest.raises(openai.NotFoundError, match="gpt-6-luna") as refused:
        client.chat.completions.create(**{**HELLO, "model": "openai/gpt-6-lun"})
    assert refused.value.param == "model"


def test_the_client_does_not_ask_again_where_that_is_no_use(iron_simulator, tmp_path, caplog):
    def retries(rules, settings):
        iron_simulator.set_rules(rules)
        caplog.clear()
        with routed(iron_simulator, tmp_path, settings) as url:
            client = openai.OpenAI(base_url=url, api_key="any", max_retries=1)
            with client, pytest.raises(openai.APIStatusError):
                client.chat.completions.create(**HELLO)
        return sum("Retrying request" in record.message for record in caplog.records)

    caplog.set_level("INFO", logger="openai")
    assert retries([], NO_MONEY) == 0
    assert retries(status(500), "") == 1


def test_a_stream_that_breaks_raises(client, iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "close", "at": {"after_chunks": 2}}}])
    with client.chat.completions.create(**HELLO, stream=True) as stream, pytest.raises(openai.APIError):
        list(stream)


def test_a_token_that_was_made_is_a_key(iron_simulator, tmp_path):
    made = iron("router", "token", "ci")
    token, _, lines = made.stdout.partition("\n\n")
    sha256 = lines.splitlines()[2].partition(" = ")[2]
    assert token not in lines
    assert token not in made.stderr
    file = tmp_path / "iron.toml"
    file.write_text(f'[router]\nlisten = "127.0.0.1:0"\n{lines}limit_usd = 1\n', encoding="utf-8")
    assert sha256 in file.read_text(encoding="utf-8")
    env = environment(OPENAI_BASE_URL=iron_simulator.url, OPENAI_API_KEY="sk-provider")
    with running("router", "--config", str(file), env=env) as process:
        url = process.stdout.readline().decode().strip()
        with openai.OpenAI(base_url=url, api_key=token, max_retries=0) as client:
            assert client.chat.completions.create(**HELLO).choices[0].message.content == "echo: Hello"
        with client_of(url) as client, pytest.raises(openai.AuthenticationError, match="token"):
            client.chat.completions.create(**HELLO)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 0
    assert token.encode() not in told


def test_what_a_router_cannot_start_with_is_told(tmp_path):
    file = tmp_path / "iron.toml"
    file.write_text('[router]\nlisten = "0.0.0.0:0"\n', encoding="utf-8")
    done = iron("router", "--config", str(file))
    assert done.returncode == 1
    assert "iron.toml:2" in done.stderr
    assert "there are no tokens" in done.stderr


def test_a_stream_under_way_ends_when_the_router_is_told_to_stop(tmp_path):
    rules = [{"reply": {"output_tokens": 10}, "tokens_per_second": 20}]
    with Simulator(rules=rules) as simulator:
        file = tmp_path / "iron.toml"
        file.write_text('[router]\nlisten = "127.0.0.1:0"\n', encoding="utf-8")
        env = environment(OPENAI_BASE_URL=simulator.url, OPENAI_API_KEY="sk-provider")
        with running("router", "--config", str(file), env=env) as process:
            url = process.stdout.readline().decode().strip()
            with client_of(url) as client, client.chat.completions.create(**HELLO, stream=True) as stream:
                next(iter(stream))
                process.send_signal(signal.SIGTERM)
                assert [chunk.choices[0].finish_reason for chunk in stream][-1] == "stop"
            assert process.wait(timeout=30) == 0


def test_curl_is_answered(iron_simulator, tmp_path):
    with routed(iron_simulator, tmp_path) as url:
        done = subprocess.run(
            ["curl", "-sS", f"{url}/chat/completions", "--json", json.dumps(HELLO)],
            capture_output=True,
            encoding="utf-8",
            timeout=30,
            check=True,
        )
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "echo: Hello"
