"""Detectors of the user's own: what they are given, what comes of what they give, and of what they raise."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading

import pytest
from waiting import unanswered, until, until_blocking

import iron_sdk as iron

RULES = [{"name": "tone", "what": ["detector:tone"], "direction": ["input"], "action": "redact"}]


@pytest.fixture
def ask_with(iron_simulator):
    """Give a client that asks a detector `tone`."""

    def make(detector, kind=iron.Client, rules=RULES, **policy):
        settings = {"policy": {"rules": rules, **policy}}
        return kind(
            settings,
            base_url=iron_simulator.url,
            api_key="k",
            model="openai/gpt-6-luna",
            detectors={"tone": detector},
        )

    return make


def sent(iron_simulator):
    return iron_simulator.requests()[-1]["body"]["messages"][0]["content"]


def rude(text):
    start = text.find("rude")
    return [] if start < 0 else [iron.Match(start, start + 4, label="word")]


async def rude_later(text):
    await asyncio.sleep(0)
    return rude(text)


def hidden(text):
    return rude_later(text)


class Judge:
    async def __call__(self, text):
        return rude(text)


@pytest.mark.parametrize(
    "detector",
    [rude, rude_later, Judge(), functools.partial(rude_later), hidden],
    ids=["function", "coroutine", "object", "partial", "lambda"],
)
@pytest.mark.parametrize("before", ["", "ü€😀e\u0301", "plain "], ids=["first", "wide", "ascii"])
async def test_a_match_is_where_python_counts_it(ask_with, iron_simulator, detector, before):
    reply = await ask_with(detector).chat(f"{before}rude words")
    assert sent(iron_simulator) == f"{before}[detector:tone/word] words"
    (finding,) = reply.findings
    assert finding == iron.Finding("detector:tone/word", "input", "redact", "tone", 1.0)


@pytest.mark.parametrize(
    ("given", "redacted"),
    [(None, False), (False, False), ([], False), (0.49, False), (True, True), (0.5, True), (1, True)],
)
async def test_a_verdict_is_on_the_whole_text(ask_with, iron_simulator, given, redacted):
    await ask_with(lambda _: given).chat("Hello")
    assert sent(iron_simulator) == ("[detector:tone]" if redacted else "Hello")


async def test_it_is_told_where_the_text_goes_if_it_wants_to_know(ask_with, iron_simulator):
    iron_simulator.set_rules([{"reply": {"text": "out"}}])
    told = []

    def detector(text, direction):
        told.append((text, direction))

    await ask_with(detector, rules=[{"what": ["detector:tone"], "action": "log"}]).chat("in")
    assert told == [("in", "input"), ("out", "output")]


async def test_a_reply_that_it_objects_to_is_not_shown(ask_with, iron_simulator):
    iron_simulator.set_rules([{"reply": {"text": "how rude"}}])
    rules = [{"name": "tone", "what": ["detector:tone"], "action": "block"}]
    with pytest.raises(iron.ContentBlockedError) as caught:
        await ask_with(rude, rules=rules).chat("Hello")
    assert (caught.value.entity, caught.value.direction) == ("detector:tone/word", "output")


async def test_embeddings_are_judged_too(ask_with, iron_simulator):
    await ask_with(rude).embed(["rude", "fine"])
    assert iron_simulator.requests()[-1]["body"]["input"] == ["[detector:tone/word]", "fine"]


class Fault(BaseException):
    pass


def raising(error):
    def detector(_):
        raise error

    return detector


def raising_later(error):
    async def detector(_):
        raise error

    return detector


@pytest.mark.parametrize("make", [raising, raising_later])
@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError, Fault])
async def test_what_it_raises_is_the_cause_of_a_refusal(ask_with, iron_simulator, make, kind):
    with pytest.raises(iron.DetectorError, match='detector "tone" failed: the input is refused') as caught:
        await ask_with(make(kind("the text"))).chat("the text")
    error = caught.value
    assert (error.detector, error.direction, error.retryable) == ("tone", "input", False)
    assert error.request_id
    assert type(error.__cause__) is kind
    names = []
    trace = error.__cause__.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-1] == "detector"
    assert "the text" not in str(error)
    assert iron_simulator.requests() == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_a_function_that_would_end_the_program_ends_its_call_alone(ask_with, kind):
    with pytest.raises(iron.DetectorError) as caught:
        await ask_with(raising(kind())).chat("Hello")
    assert type(caught.value.__cause__) is kind


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("yes", TypeError),
        ({"start": 0}, TypeError),
        ([(0, 1)], TypeError),
        ([iron.Match(0, 6)], ValueError),
        ([iron.Match(1, 1)], ValueError),
        ([iron.Match(-1, 1)], ValueError),
        ([iron.Match(0, 1.0)], TypeError),
        ([iron.Match(0, 1, 2.0)], ValueError),
        ([iron.Match(0, 1, "1")], TypeError),
        ([iron.Match(0, 1, label=7)], TypeError),
        (float("nan"), ValueError),
        (-0.1, ValueError),
        (object(), TypeError),
    ],
)
async def test_what_is_no_finding_is_a_refusal(ask_with, iron_simulator, given, kind):
    with pytest.raises(iron.DetectorError) as caught:
        await ask_with(lambda _: given).chat("Hello")
    assert type(caught.value.__cause__) is kind
    assert iron_simulator.requests() == []


async def test_a_label_that_could_carry_text_is_a_refusal(ask_with):
    with pytest.raises(iron.DetectorError, match="gave a label that is not"):
        await ask_with(lambda _: [iron.Match(0, 1, label="a b")]).chat("Hello")


@pytest.mark.parametrize("blocks", [True, False], ids=["function", "coroutine"])
async def test_one_that_never_answers_is_given_up(ask_with, iron_simulator, blocks):
    never, began, cancelled = threading.Event(), [], []

    def block(_):
        never.wait()

    async def wait(text):
        began.append(text)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.append(text)

    client = ask_with(block if blocks else wait, detector_timeout_ms=100)
    with pytest.raises(iron.DetectorError, match="took longer than 100 ms") as caught:
        await client.chat("Hello")
    assert caught.value.retryable
    assert iron_simulator.requests() == []
    # On a machine that is busy it may be too late before it is asked.
    await until(lambda: cancelled == began)
    never.set()


async def test_a_call_that_is_cancelled_cancels_it(ask_with):
    wait, began, cancelled = unanswered()
    call = asyncio.ensure_future(ask_with(wait).chat("Hello"))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(cancelled.wait(), 20)


@pytest.mark.parametrize("detector_kind", ["function", "coroutine"])
async def test_it_sees_the_context_of_the_caller(ask_with, detector_kind):
    tenant = contextvars.ContextVar("tenant")
    seen = []

    def look(text):
        seen.append((text, tenant.get()))
        tenant.set("changed")

    async def look_later(text):
        look(text)

    client = ask_with(look if detector_kind == "function" else look_later)

    async def call(name):
        tenant.set(name)
        await client.chat(name)
        assert tenant.get() == name

    await asyncio.gather(*(call(f"tenant {number}") for number in range(20)))
    assert sorted(seen) == sorted((f"tenant {number}", f"tenant {number}") for number in range(20))


@pytest.mark.parametrize("detector", [rude, rude_later])
async def test_a_thousand_calls_at_once(ask_with, detector):
    client = ask_with(detector, detector_timeout_ms=60_000)
    replies = await asyncio.gather(*(client.chat(f"rude {number}") for number in range(1000)))
    texts = [reply.text for reply in replies]
    assert texts == [f"echo: [detector:tone/word] {number}" for number in range(1000)]


@pytest.mark.parametrize("detector", [rude, rude_later])
def test_several_loops_and_threads_share_it(ask_with, detector):
    client, blocking = ask_with(detector), ask_with(detector, kind=iron.SyncClient)
    texts = []

    async def main():
        replies = await asyncio.gather(*(client.chat("rude") for _ in range(10)))
        texts.extend(reply.text for reply in replies)

    def without_loop():
        texts.extend(blocking.chat("rude").text for _ in range(10))

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(3)]
    threads += [threading.Thread(target=without_loop) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["echo: [detector:tone/word]"] * 60


@pytest.mark.parametrize("detector", [rude, rude_later])
def test_code_without_a_loop(ask_with, detector):
    client = ask_with(detector, kind=iron.SyncClient)
    assert client.chat("rude").text == "echo: [detector:tone/word]"
    with client.stream("rude") as stream:
        assert stream.reply().text == "echo: [detector:tone/word]"
    assert client.embed("rude")
    for make in (raising, raising_later):
        failing = ask_with(make(ValueError()), kind=iron.SyncClient)
        with pytest.raises(iron.DetectorError) as caught:
            failing.chat("Hello")
        assert type(caught.value.__cause__) is ValueError
        with pytest.raises(iron.DetectorError) as caught, failing.stream("Hello") as stream:
            pass
        assert type(caught.value.__cause__) is ValueError


def test_a_coroutine_that_would_end_the_program_ends_its_call_alone_without_a_loop(ask_with):
    for kind in (SystemExit, KeyboardInterrupt):
        client = ask_with(raising_later(kind()), kind=iron.SyncClient)
        with pytest.raises(iron.DetectorError) as caught:
            client.chat("Hello")
        assert type(caught.value.__cause__) is kind


async def test_what_a_stream_is_asked_is_judged(ask_with, iron_simulator):
    async with ask_with(rude_later).stream("rude") as stream:
        assert (await stream.reply()).text == "echo: [detector:tone/word]"
    failing = ask_with(raising_later(ValueError()))
    with pytest.raises(iron.DetectorError) as caught:
        async with failing.stream("Hello"):
            pass
    assert type(caught.value.__cause__) is ValueError
    assert len(iron_simulator.requests()) == 1


@pytest.mark.parametrize("detector", [rude, rude_later])
async def test_what_a_stream_says_is_shown_once_it_is_judged(ask_with, iron_simulator, detector):
    iron_simulator.set_rules([{"reply": {"text": "how rude of you"}}])
    rules = [{"name": "tone", "what": ["detector:tone"], "direction": ["output"], "action": "redact"}]
    client = ask_with(detector, rules=rules)
    async with client.stream("Hello") as stream:
        shown = [chunk.text async for chunk in stream if chunk.text]
        reply = await stream.reply()
    assert shown == ["how [detector:tone/word] of you"]
    assert reply.text == shown[0]
    plain = await client.chat("Hello")
    assert (reply.text, reply.findings) == (plain.text, plain.findings)


@pytest.mark.parametrize("make", [raising, raising_later])
async def test_what_it_raises_ends_a_stream_of_which_nothing_was_shown(ask_with, make):
    rules = [{"what": ["detector:tone"], "direction": ["output"], "action": "log"}]
    with pytest.raises(iron.DetectorError) as caught:
        async for chunk in ask_with(make(ValueError()), rules=rules).stream("Hello"):
            assert not chunk.text
    assert type(caught.value.__cause__) is ValueError
    assert caught.value.direction == "output"


async def test_one_may_make_calls_of_its_own(ask_with, iron_client):
    async def judge(text):
        return "rude" in (await iron_client.chat(f"judge: {text}")).text

    reply = await ask_with(judge).chat("rude")
    assert reply.text == "echo: [detector:tone]"


async def test_one_that_asks_itself_is_told(ask_with):
    async def judge(text):
        return (await client.chat(text)).text

    client = ask_with(judge)
    with pytest.raises(iron.DetectorError) as caught:
        await client.chat("Hello")
    inner = caught.value.__cause__
    assert isinstance(inner, iron.DetectorError)
    assert "a callable cannot make a call that asks it again" in str(inner.__cause__)


async def test_policies_of_blocks_ask_it_too(ask_with, iron_client, iron_simulator):
    policy = iron.policy([{"what": ["detector:tone"], "action": "redact"}])
    with policy:
        assert (await ask_with(lambda _: True, rules=[]).chat("rude")).text == "[detector:tone]"
        with pytest.raises(iron.ConfigError, match="a rule names detector:tone"):
            await iron_client.chat("Hello")
    assert len(iron_simulator.requests()) == 1


def test_what_is_no_detector_is_refused():
    for detectors, message in [
        ([rude], "detectors is of type list"),
        ({"tone": "rude"}, "detectors['tone'] is of type str"),
        ({7: rude}, "detectors has a name of type int"),
        ({"a b": rude}, 'detectors: "a b" cannot be a name'),
    ]:
        with pytest.raises(iron.ConfigError) as caught:
            iron.Client({}, detectors=detectors)
        assert message in str(caught.value)
    with pytest.raises(iron.ConfigError, match="a rule names detector:tone, which the client does not have"):
        iron.Client({"policy": {"rules": RULES}}, detectors={"other": rude})


async def test_the_default_client_has_them(iron_simulator, monkeypatch):
    monkeypatch.setattr(iron._api, "_default", None)
    settings = {"policy": {"rules": RULES}}
    url = iron_simulator.url
    iron.configure(settings, base_url=url, api_key="k", model="openai/gpt-6-luna", detectors={"tone": rude})
    assert (await iron.chat("rude")).text == "echo: [detector:tone/word]"


def test_threads_are_few_and_end_no_later_than_their_function(ask_with):
    client = ask_with(rude, kind=iron.SyncClient)
    for _ in range(50):
        client.chat("Hello")
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("iron-callable")]
    assert 1 <= len(ours) <= 16
    until_blocking(lambda: client.in_flight == 0)
