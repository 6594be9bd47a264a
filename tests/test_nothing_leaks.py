"""Nothing that a run writes holds a secret or a text: everything is gathered in one place and searched.

A program in a process of its own makes calls that go well and calls that fail in every way, with all logs
on, an audit log and a ledger file, and shows every object that it gets hold of. What it was given and
what came to it is then looked for, in several encodings, in each byte that was written.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.parse

import pytest
from canaries import CANARIES, leaks
from command import environment, iron

from iron_sdk.testing import Simulator

# What the program shows goes to stdout; where canaries are by right goes to a file of its own.
PROGRAM = r"""
import asyncio, copy, faulthandler, json, logging, os, pickle, sys, traceback, warnings
import iron_sdk as iron

faulthandler.enable()
warnings.simplefilter("always")
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
CANARIES, URL, SETTINGS = json.loads(sys.stdin.read())
C = CANARIES
known = open("known.txt", "w", encoding="utf-8")


def show(value):
    print(repr(value), str(value))
    print([getattr(value, name, None) for name in dir(value) if not name.startswith("_") and name in FACTS])
    # A text that is pickled is in the pickle: those of a reply's parts are rightly there.
    holds_text = isinstance(value, (iron.Choice, iron.ToolCall))
    html = getattr(value, "_repr_html_", None)
    print(html() if html else "")
    for change in (copy.copy, pickle.dumps):
        try:
            print(repr(change(value)), file=known if holds_text and change is pickle.dumps else None)
        except Exception as error:
            print(type(error), error)


FACTS = {
    "cost", "usage", "timing", "findings", "warnings", "violations", "request_id", "upstream", "spent",
    "rule", "direction", "entity", "tool", "detector", "status", "phase", "code", "finish_reason", "agent",
    "tags", "limit", "name",
}


def show_error(error, *, words_of_others=False):
    "Show an error of ours; of others' words there may be its own cause, and what a provider said."
    print(type(error).__name__, error.code)
    if words_of_others:
        known.write("".join(traceback.format_exception(error)))
        known.write(repr(vars(error)))
        return
    show(error)
    print("".join(traceback.format_exception(error)))
    print(vars(error))


async def fails(call, kind, **options):
    try:
        await call
    except kind as error:
        show_error(error, **options)
    else:
        raise SystemExit(f"no {kind.__name__}")


def client(changes=(), **options):
    return iron.Client({**SETTINGS, **dict(changes)}, model="openai/gpt-6-luna", **options)


def raising(text):
    raise RuntimeError(C["raised"] + text)


def message(*texts):
    image = {"type": "image_url", "image_url": {"url": f"https://example.org/a.png?token={C['query']}"}}
    return [{"role": "user", "content": [*({"type": "text", "text": text} for text in texts), image]}]


async def tools(ours, called, tool):
    "What tools are asked and what they have found, also where a rule speaks of it."
    call = called.tool_calls[0]
    answer = {"role": "tool", "tool_call_id": call.id, "content": C["result"]}
    asked = [{"role": "user", "content": "more"}, called.message, answer]
    show(await ours.chat(asked, max_tokens=50, tools=[tool]))
    written = await ours.chat("write to " + C["answer"], max_tokens=50, tools=[tool])
    show(written)
    known.write(written.tool_calls[0].arguments)


async def texts(ours):
    "What a rule has taken from the way there, and from the way back."
    restored = await ours.chat("echo " + C["mail"], max_tokens=50)
    show(restored)
    known.write(restored.text)
    redacted = await ours.chat("tell", max_tokens=50)
    show(redacted)
    print(redacted.text)
    free = await client({"policy": {"rules": []}}).chat("tell", max_tokens=50)
    known.write(free.text)
    rule = {"name": "r", "what": ["API_KEY"], "action": "block"}
    await fails(client({"policy": {"rules": [rule]}}).chat("tell"), iron.ContentBlockedError)


async def streams(ours):
    "Streams that break, that a provider ends by its own words, and that a rule ends."
    async def drain(asked, which=ours):
        async for chunk in which.stream(asked, max_tokens=50, max_attempts=1):
            known.write(chunk.text)

    await fails(drain("cut " + C["prompt"]), iron.UpstreamConnectionError)
    await fails(drain("quote 401"), iron.UpstreamStatusError)
    await fails(drain("garbled " + C["prompt"]), iron.UpstreamStatusError, words_of_others=True)
    rule = {"name": "r", "what": ["API_KEY"], "action": "block"}
    await fails(drain("tell", client({"policy": {"rules": [rule]}})), iron.ContentBlockedError)


async def routes():
    "Every upstream of a route fails, the last of them by the key."
    upstreams = ["openai/gpt-6-luna", "openai/gpt-5.6-luna"]
    routed = client({"models": {"both": {"upstreams": upstreams}}, "retry": {"max_attempts": 1}})
    await fails(routed.chat("quote 401", model="both"), iron.NoUpstreamError)
    await fails(routed.chat("quote 429", max_attempts=1), iron.RateLimitError)


async def approvals(tool):
    "Approvers that refuse, and one that raises what it was asked about."
    asked = []

    def approve(request):
        asked.append(request)
        return False

    def raise_arguments(request):
        raise RuntimeError(C["raised"] + repr(request.arguments))

    settings = {"tools": {"require_approval": ["look"]}}
    refusing = client(settings, approve=approve)
    await fails(refusing.chat("call", tools=[tool]), iron.PolicyDeniedError)
    # An approver is shown the arguments: that is what it is for.
    known.write(repr(asked[0].arguments))
    print(asked, str(asked[0]))
    raising = client(settings, approve=raise_arguments)
    await fails(raising.chat("call", tools=[tool]), iron.PolicyDeniedError, words_of_others=True)


async def proxies():
    "A proxy that is given its password, and refuses."
    async def refuse(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        # The rest of the head is for the provider, and has its key: this is a proxy of plain HTTP.
        known.writelines(line for line in head.splitlines() if line.lower().startswith("proxy-authorization"))
        writer.write(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        os.environ["HTTP_PROXY"] = f"http://canary:{C['proxy']}@127.0.0.1:{port}"
        proxied = client(base_url="http://192.0.2.1/v1")
        await fails(proxied.chat(C["prompt"], max_attempts=1), iron.UpstreamStatusError)
        await proxied.aclose()
    os.environ["HTTP_PROXY"] = f"http://canary:{C['proxy']}@127.0.0.1:1"
    proxied = client(base_url="http://192.0.2.1/v1")
    await fails(proxied.chat(C["prompt"], max_attempts=1, timeout=5), iron.UpstreamConnectionError)
    del os.environ["HTTP_PROXY"]


async def main():
    events = iron.events()
    ours = client()
    print(vars(iron), dir(ours))
    with iron.run(agent="canaries", tags=["t"]) as run, iron.budget("1.00", name="b") as budget:
        tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
        reply = await ours.chat(message(C["prompt"], C["mail"], C["secret"]), max_tokens=50, tools=[tool])
        known.write(reply.text + json.dumps(reply.json(), ensure_ascii=False))
        called = await ours.chat("call", max_tokens=50, tools=[tool])
        known.write(called.tool_calls[0].arguments)
        stream = ours.stream(C["prompt"], max_tokens=50)
        chunks = [chunk async for chunk in stream]
        known.write("".join(chunk.text for chunk in chunks))
        vectors = await ours.embed(C["prompt"], model="openai/text-embedding-3-small")
        for value in (reply, *reply.choices, called, *called.tool_calls, stream, *chunks):
            show(value)
        for value in (await stream.reply(), run, budget, ours, ours.budget, vectors, ours.stats()):
            show(value)
        await tools(ours, called, tool)
        await texts(ours)
        show(iron.policy([{"name": "r", "what": ["API_KEY"], "action": "block"}]))
    blocking = client({"policy": {"rules": [{"name": "r", "what": ["API_KEY"], "action": "block"}]}})
    await fails(blocking.chat(C["secret"]), iron.ContentBlockedError)
    # A provider's own words are passed on: they are rightly in the error, and nowhere else. Keys are not.
    await fails(ours.chat("quote 400", max_attempts=1), iron.UpstreamStatusError, words_of_others=True)
    await fails(ours.chat("quote 401", max_attempts=1), iron.UpstreamStatusError)
    for text, kind in (
        ("malformed", iron.UpstreamStatusError),
        ("reset", iron.UpstreamConnectionError),
        ("redirect", iron.UpstreamStatusError),
    ):
        words_of_others = text == "malformed"
        await fails(ours.chat(f"{text} {C['prompt']}", max_attempts=1), kind, words_of_others=words_of_others)
    await fails(ours.chat("stall " + C["prompt"], timeout=0.2), iron.UpstreamTimeoutError)
    await fails(ours.chat(C["prompt"], max_cost="0.000000001"), iron.BudgetExceededError)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    await fails(ours.chat("invalid", response_format=asked, max_repairs=1), iron.OutputInvalidError)
    await streams(ours)
    await routes()
    await approvals(tool)
    denied = client({"tools": {"deny": ["look"]}})
    await fails(denied.chat("call", tools=[tool]), iron.PolicyDeniedError)
    rules = {"rules": [{"name": "own", "what": ["detector:own"], "action": "block"}]}
    detecting = client({"policy": rules}, detectors={"own": raising})
    # What a function of the user's own raised is the cause, as it was raised.
    await fails(detecting.chat(C["prompt"]), iron.DetectorError, words_of_others=True)
    tls = client(base_url=URL.replace("http:", "https:"))
    await fails(tls.chat(C["prompt"], max_attempts=1), iron.UpstreamConnectionError)
    await fails(ours.chat([]), iron.ConfigError)
    await proxies()
    for wrong in (
        {"budget": {"limit_usd": C["misplaced"]}},
        {"timeouts": {"total_ms": C["misplaced"]}},
        {"providers": {"openai": {"base_url": C["misplaced"]}}},
        {"providers": {"openai": {"base_url": f"https://canary:{C['address']}@example.org/v1"}}},
        {C["misplaced"]: 1},
        {"default_model": C["misplaced"]},
        {"models": {"fast": {"upstreams": [C["misplaced"]]}}},
        {"policy": {"rules": [{"name": "r", "what": [C["misplaced"]], "action": "block"}]}},
        {"policy": {"rules": [{"name": "r", "what": ["API_KEY"], "action": C["misplaced"]}]}},
        {"audit": {"content": C["misplaced"]}},
        {"router": {"listen": C["misplaced"]}},
        {"providers": {"openai": {"vendor": C["misplaced"]}}},
        {"providers": {"openai": {"headers": {"x-team": C["misplaced"] + chr(10)}}}},
    ):
        try:
            iron.Client({**SETTINGS, **wrong})
        except iron.ConfigError as error:
            show_error(error)
        else:
            raise SystemExit("no ConfigError")
    await ours.aclose()
    await fails(ours.chat(C["prompt"]), iron.ClosedError)
    told = 0
    async for event in events:
        show(event)
        told += 1
        if isinstance(event, iron.CallFailed) and event.code == "upstream_connection" and told > 20:
            break
    events.close()


asyncio.run(main())
known.close()
print("done")
"""

RULES = [
    {"name": "mail", "what": ["EMAIL_ADDRESS"], "action": "pseudonymize"},
    {"name": "keys", "what": ["API_KEY"], "action": "redact"},
]


def replies():
    def to(text):
        return {"text": text}

    quoted = f"{CANARIES['key']} {CANARIES['header']}"
    return [
        # Only who sends the header is answered at all.
        {
            "when": {**to("quote 400"), "headers": {"x-team": CANARIES["header"]}},
            "fault": {"kind": "status", "status": 400, "message": f"no: {CANARIES['prompt']}"},
        },
        {
            "when": to("quote 401"),
            "fault": {"kind": "status", "status": 401, "message": f"no: {quoted}"},
        },
        {"when": to("quote 429"), "fault": {"kind": "status", "status": 429, "message": f"no: {quoted}"}},
        {"when": to("cut"), "fault": {"kind": "close", "at": {"after_chunks": 1}}},
        {"when": to("garbled"), "fault": {"kind": "malformed_event"}, "reply": {"text": CANARIES["reply"]}},
        {"when": to("echo")},
        {"when": to("tell"), "reply": {"text": f"it is {CANARIES['said']}"}},
        {
            "when": to("write to"),
            "reply": {"tool_calls": [{"name": "look", "arguments": {"at": CANARIES["answer"]}}]},
        },
        {"when": to("malformed"), "fault": {"kind": "malformed_json"}, "reply": {"text": CANARIES["reply"]}},
        {"when": to("reset"), "fault": {"kind": "reset", "at": "before_headers"}},
        {"when": to("redirect"), "fault": {"kind": "redirect", "to": "http://127.0.0.1:1/"}},
        {"when": to("stall"), "fault": {"kind": "stall", "at": "before_headers"}},
        {"when": to("invalid"), "reply": {"text": json.dumps({"n": CANARIES["output"]})}},
        {"when": to("Your last answer"), "reply": {"text": json.dumps({CANARIES["output"]: 1})}},
        {
            "when": to("call"),
            "reply": {"tool_calls": [{"name": "look", "arguments": {"at": CANARIES["arguments"]}}]},
        },
        {"reply": {"text": CANARIES["reply"]}},
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Run the program, and what a user would run after it; give all that was written, by where it was."""
    place = tmp_path_factory.mktemp("run")
    settings = {
        "audit": {"directory": str(place / "log"), "sync": "always"},
        "budget": {"limit_usd": "5.00", "window": "daily", "ledger": str(place / "ledger" / "ledger.db")},
        "policy": {"rules": RULES},
    }
    headers = {"x-team": CANARIES["header"]}
    keys = {"OPENAI_API_KEY": CANARIES["key"], "ANTHROPIC_API_KEY": CANARIES["other"]}
    given = environment(**keys, PYTHONFAULTHANDLER="1", PYTHONWARNINGS="always")
    with Simulator(rules=replies(), api_key=CANARIES["key"]) as simulator:
        provider = {"openai": {"base_url": simulator.url, "headers": headers}}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=place,
            env=given,
            input=json.dumps([CANARIES, simulator.url, {**settings, "providers": provider}]).encode(),
            capture_output=True,
            check=False,
            timeout=50,
        )
        sent = json.dumps(simulator.requests(), ensure_ascii=False, default=str)
    pages = {"stdout": done.stdout, "stderr": done.stderr}
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    config = place / "iron.toml"
    log, ledger = json.dumps(f"{place}/log"), json.dumps(f"{place}/ledger/ledger.db")
    config.write_text(
        f"""
        audit.directory = {log}
        budget = {{limit_usd = "5.00", window = "daily", ledger = {ledger}}}
        providers.openai.headers = {{x-team = {json.dumps(CANARIES["header"])}}}
        policy.rules = [{{name = "keys", what = ["API_KEY"], action = "redact"}}]
        """
    )
    for command in (
        ["check"],
        ["audit", "show"],
        ["audit", "show", "--json"],
        ["audit", "verify"],
        ["audit", "stats"],
        ["budget", "show"],
    ):
        shown = iron(*command, env=given, cwd=place)
        pages["iron " + " ".join(command)] = (shown.stdout + shown.stderr).encode()
    shown = iron("policy", "test", CANARIES["secret"], env=given, cwd=place)
    pages["iron policy test"] = (shown.stdout + shown.stderr).encode()
    wrong = place / "wrong"
    wrong.mkdir()
    (wrong / "iron.toml").write_text(
        f"{CANARIES['misplaced']} = 1\n[budget]\nlimit_usd = '{CANARIES['misplaced']}'\n"
    )
    shown = iron("check", env=given, cwd=wrong)
    pages["iron check of a wrong file"] = (shown.stdout + shown.stderr).encode()
    for file in sorted(place.rglob("*")):
        # Those that the test itself has written, and what the program wrote down as rightly there.
        if file.is_file() and file.name not in {"iron.toml", "known.txt"}:
            pages[str(file.relative_to(place))] = file.read_bytes()
    return pages, (place / "known.txt").read_text(), sent


def test_what_was_looked_for_was_there(written):
    pages, known, sent = written
    assert pages["stdout"].decode().endswith("done\n")
    # The simulator takes no other key, and answers with 400 only to who sends the header.
    assert "UpstreamStatusError" in known
    assert b"no: *** ***" in pages["stdout"], "the provider has quoted the key and the header"
    assert b"ANTHROPIC_API_KEY" in pages["iron check"]
    assert leaks(sent.encode()) >= {"prompt", "query", "output", "result"}
    for name in ("reply", "arguments", "prompt", "raised", "mail", "answer", "said", "proxy"):
        assert leaks(known.encode()) >= {name}, name
    # Rules have found those: they were in the prompt, and went no further.
    for name in ("mail", "secret"):
        assert CANARIES[name] not in sent, name
    shown = pages["stdout"]
    assert b"EMAIL_ADDRESS" in shown
    assert b"API_KEY" in shown
    assert b"OutputInvalidError" in shown
    assert b"CallRepaired" in shown
    assert any(name.startswith("log") for name in pages)
    assert any("ledger" in name for name in pages)
    assert b"iron_sdk" in pages["stderr"], "the log was on"


def test_nothing_of_it_was_written(written):
    pages, known, _ = written
    found = {page: names for page, data in pages.items() if (names := leaks(data))}
    assert not found
    assert not leaks(known.encode()) & {"key", "other", "header", "misplaced", "address"}, (
        "no key is anywhere by right"
    )


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_is_found_in_every_form(name):
    text = CANARIES[name]
    for form in (text, json.dumps(text), urllib.parse.quote(text), text.encode().hex()):
        assert name in leaks(f"before {form} behind".encode())
    for before in range(4):
        coded = base64.b64encode(os.urandom(before) + text.encode() + b"behind")
        assert name in leaks(coded)
