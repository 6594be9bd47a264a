"""Rules on tools: what may be offered and called, plain and streamed, as a program in Python sees it."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import iron_sdk as iron

MODEL = "openai/gpt-6-luna"


def function(name):
    return {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string"}},
                "required": ["query"],
                "additionalProperties": False,
            },
        },
    }


def calling(*calls):
    return [{"reply": {"tool_calls": [{"name": name, "arguments": given} for name, given in calls]}}]


TEA = ("search", {"query": "tea"})
COFFEE = ("search", {"query": "coffee"})
SEARCH = [function("search")]


@pytest.fixture
def client_with(iron_simulator):
    """Give a client with rules on tools."""

    def make(kind=iron.Client, **tools):
        return kind({"tools": tools}, base_url=iron_simulator.url, api_key="k", model=MODEL)

    return make


async def plain(client, **options):
    return await client.chat("Hello", **options)


async def streamed(client, **options):
    """Read a stream, which shows nothing of a call that is refused."""
    shown, stream = [], client.stream("Hello", **options)
    try:
        async for chunk in stream:
            shown += chunk.tool_calls
        return await stream.reply()
    except iron.PolicyDeniedError:
        assert shown == []
        raise


ways = pytest.mark.parametrize("ask", [plain, streamed])


def called(reply):
    return [(call.name, call.parsed_arguments()) for call in reply.tool_calls]


@ways
@pytest.mark.parametrize(
    ("tools", "rule"),
    [
        ({"deny": ["search"]}, "tools.deny"),
        ({"deny": ["sea*"]}, "tools.deny"),
        ({"allow": ["db_*"]}, "tools.allow"),
        ({"allow": ["*"], "deny": ["s*"]}, "tools.deny"),
        ({"agents": {"intern-*": {"deny": ["search"]}}}, 'tools.agents."intern-*".deny'),
    ],
)
async def test_a_tool_that_may_not_be_offered_costs_nothing(client_with, iron_simulator, ask, tools, rule):
    with iron.run(agent="intern-1"), pytest.raises(iron.PolicyDeniedError) as caught:
        await ask(client_with(**tools), tools=SEARCH)
    error = caught.value
    assert (error.rule, error.tool, error.direction) == (rule, "search", "input")
    assert error.request_id
    assert not error.retryable
    assert iron_simulator.requests() == []


@ways
@pytest.mark.parametrize(
    "tools", [{"allow": ["sea*"]}, {"allow": ["s?*", "search"]}, {"deny": ["db_*"]}, {"per_run": 1}]
)
async def test_a_tool_that_may_be_called_is_shown(client_with, iron_simulator, ask, tools):
    iron_simulator.set_rules(calling(TEA))
    assert called(await ask(client_with(**tools), tools=SEARCH)) == [TEA]


@ways
async def test_what_is_denied_can_be_left_out(client_with, iron_simulator, ask):
    tools = [*SEARCH, function("db_drop")]
    reply = await ask(client_with(deny=["db_*"], on_denied="drop"), tools=tools)
    assert iron_simulator.requests()[-1]["body"]["tools"] == SEARCH
    (warning,) = reply.warnings
    assert "db_drop" in warning


@ways
@pytest.mark.parametrize(
    "case",
    [
        ([("shell", {})], {"deny": ["x"]}, "tools", "the request does not offer it"),
        ([("search", {"query": 7})], {"deny": ["x"]}, "tools.check_arguments", "query"),
        ([("search", {})], {"deny": ["x"]}, "tools.check_arguments", "query"),
        ([("search", "{query")], {"deny": ["x"]}, "tools.check_arguments", "not valid JSON"),
        (
            [TEA],
            {"schemas": {"search": {"properties": {"query": {"maxLength": 2}}}}},
            "tools.schemas.search",
            "query",
        ),
        ([TEA, COFFEE], {"limits": {"search": 1}}, "tools.limits.search", "1 times"),
        ([TEA, COFFEE], {"limits": {"s*": 1}}, 'tools.limits."s*"', "1 times"),
        ([TEA, COFFEE, TEA], {"per_run": 2}, "tools.per_run", "2 times"),
        ([TEA, COFFEE, TEA], {"max_repeats": 1}, "tools.max_repeats", "the same arguments"),
    ],
)
async def test_a_call_that_may_not_be_made_is_not_shown_and_is_paid_for(
    client_with, iron_simulator, ask, case
):
    calls, tools, rule, reason = case
    iron_simulator.set_rules(calling(*calls))
    with iron.budget(1) as budget, pytest.raises(iron.PolicyDeniedError, match=reason) as caught:
        await ask(client_with(**tools), tools=SEARCH)
    error = caught.value
    assert (error.rule, error.direction) == (rule, "tool_arguments")
    assert "tea" not in str(error)
    assert budget.spent > 0
    assert budget.held == 0
    assert len(iron_simulator.requests()) == 1


@ways
async def test_limits_are_of_a_run(client_with, iron_simulator, ask):
    iron_simulator.set_rules(calling(TEA))
    client = client_with(limits={"search": 2})
    for _ in range(2):
        with iron.run():
            for _ in range(2):
                await ask(client, tools=SEARCH)
            with pytest.raises(iron.PolicyDeniedError) as caught:
                await ask(client, tools=SEARCH)
            assert caught.value.rule == "tools.limits.search"
            # An inner run counts by itself.
            with iron.run():
                await ask(client, tools=SEARCH)
    # Outside of any, each call does.
    for _ in range(3):
        await ask(client, tools=SEARCH)


@ways
async def test_going_round_in_circles_ends(client_with, iron_simulator, ask):
    client = client_with(max_repeats=2)
    with iron.run():
        for given, fine in [
            ('{"query": "tea"}', True),
            ('{"query":  "te\\u0061"}', True),
            ('{"query": "coffee"}', True),
            ('{"query": "tea"}', False),
        ]:
            iron_simulator.set_rules(calling(("search", given)))
            if fine:
                await ask(client, tools=SEARCH)
                continue
            with pytest.raises(iron.PolicyDeniedError, match="circles"):
                await ask(client, tools=SEARCH)


@ways
async def test_calls_at_once_share_the_limit_of_their_run(client_with, iron_simulator, ask):
    iron_simulator.set_rules(calling(TEA))
    client = client_with(limits={"search": 10})
    with iron.run():
        replies = await asyncio.gather(
            *(ask(client, tools=SEARCH) for _ in range(100)), return_exceptions=True
        )
    refused = [reply for reply in replies if isinstance(reply, iron.PolicyDeniedError)]
    assert len(refused) == 90
    assert sum(isinstance(reply, iron.Reply) for reply in replies) == 10


@ways
async def test_every_choice_counts(client_with, iron_simulator, ask):
    iron_simulator.set_rules(calling(TEA))
    client = client_with(limits={"search": 2})
    assert len((await ask(client, tools=SEARCH, n=2)).choices) == 2
    with pytest.raises(iron.PolicyDeniedError):
        await ask(client, tools=SEARCH, n=3)


def test_code_without_a_loop(client_with, iron_simulator):
    iron_simulator.set_rules(calling(TEA))
    client = client_with(kind=iron.SyncClient, limits={"search": 1})
    with iron.run():
        assert called(client.chat("Hello", tools=SEARCH)) == [TEA]
        with pytest.raises(iron.PolicyDeniedError):
            client.chat("Hello", tools=SEARCH)
        with pytest.raises(iron.PolicyDeniedError), client.stream("Hello", tools=SEARCH) as stream:
            assert [chunk for chunk in stream if chunk.tool_calls] == []


@ways
async def test_models_of_anthropic_are_held_too(iron_simulator, ask):
    iron_simulator.set_rules(calling(TEA))
    settings = {
        "tools": {"limits": {"search": 1}},
        "providers": {"anthropic": {"base_url": iron_simulator.anthropic_url, "api_key": "k"}},
    }
    client = iron.Client(settings, model="anthropic/claude-haiku-4-5")
    with iron.run():
        assert called(await ask(client, tools=SEARCH, max_tokens=100)) == [TEA]
        with pytest.raises(iron.PolicyDeniedError):
            await ask(client, tools=SEARCH, max_tokens=100)


class Custom(BaseHTTPRequestHandler):
    """Calls a tool that takes free text, in pieces if it is asked for a stream."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        events = [{"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "sql"}}]}]
        events += [{"tool_calls": [{"index": 0, "custom": {"input": part}}]} for part in ("select ", "1;")]
        call = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "select 1;"}}
        choices = [{"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]}}]
        if asked.get("stream"):
            told = [{"choices": [{"index": 0, "delta": delta}]} for delta in events]
            told.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
            body = "".join(f"data: {json.dumps(event)}\n\n" for event in told) + "data: [DONE]\n\n"
        else:
            body = json.dumps({"choices": [{**choices[0], "finish_reason": "tool_calls"}]})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if asked.get("stream") else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@contextmanager
def serving(handler):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


@ways
async def test_a_tool_that_takes_text_is_held_too(ask):
    asked = []

    def approve(request):
        asked.append((request.tool, request.arguments))
        return True

    offered = [{"type": "custom", "custom": {"name": "sql"}}]
    said = {"what": ["keyword:sql"], "direction": ["tool_arguments"], "action": "redact"}
    policy = {"rules": [said], "keywords": {"sql": ["select"]}}
    with serving(Custom) as url:

        def client(settings):
            return iron.Client(settings, base_url=url, api_key="k", model=MODEL, approve=approve)

        approving = client({"tools": {"require_approval": ["sql"]}})
        reply = await ask(approving, tools=offered)
        assert reply.message["tool_calls"][0]["custom"] == {"name": "sql", "input": "select 1;"}
        assert asked == [("sql", {"input": "select 1;"})]
        for settings, rule in [
            ({"schemas": {"sql": {"maxLength": 3}}}, "tools.schemas.sql"),
            ({"deny": ["sql"]}, "tools.deny"),
        ]:
            with pytest.raises(iron.PolicyDeniedError) as caught:
                await ask(client({"tools": settings}), tools=offered)
            assert (caught.value.rule, caught.value.tool) == (rule, "sql")
        for tools in ({}, {"require_approval": ["sql"]}):
            reply = await ask(client({"policy": policy, "tools": tools}), tools=offered)
            assert reply.message["tool_calls"][0]["custom"]["input"] == "[keyword:sql] 1;"
            assert reply.findings[0].direction == "tool_arguments"
        assert asked[1:] == [("sql", {"input": "[keyword:sql] 1;"})]
