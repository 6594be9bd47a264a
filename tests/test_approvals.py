"""Approvals: what a function of the user's own is told of a tool call, and what comes of its answer."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest
from waiting import unanswered, until

import iron_sdk as iron

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
        },
    }
    for name in ("send_mail", "search")
]


@pytest.fixture
def client_with(iron_simulator):
    """Give a client whose tool `send_mail` needs the approval of a function."""
    iron_simulator.set_rules([{"reply": {"tool_calls": [{"name": "send_mail", "arguments": {"to": "Ada"}}]}}])

    def make(approve=None, kind=iron.Client, **tools):
        settings = {"tools": {"require_approval": ["send_*"], **tools}}
        return kind(
            settings,
            base_url=iron_simulator.url,
            api_key="k",
            model="openai/gpt-6-luna",
            approve=approve,
        )

    return make


def answering(given, *, later):
    """Give an approver with that answer, a function or a coroutine function, and what it is asked."""
    asked = []

    def decide(request):
        asked.append(request)
        if isinstance(given, BaseException):
            raise given
        return given

    async def decide_later(request):
        await asyncio.sleep(0)
        return decide(request)

    return (decide_later if later else decide), asked


kinds = pytest.mark.parametrize("later", [False, True], ids=["function", "coroutine"])


@kinds
async def test_a_call_that_is_approved_is_shown(client_with, iron_simulator, later):
    approve, asked = answering(True, later=later)  # noqa: FBT003 - what an approver gives
    with iron.run(agent="writer", tags=["eu"]):
        reply = await client_with(approve).chat("Hello", tools=TOOLS)
    (call,) = reply.tool_calls
    (request,) = asked
    assert request == iron.ApprovalRequest(
        tool="send_mail",
        arguments={"to": "Ada"},
        call_id=call.id,
        agent="writer",
        tags=("eu",),
        request_id=reply.request_id,
    )
    assert "Ada" not in repr(request)
    assert "send_mail" in repr(request)
    # It is ours alone: the provider has not been told of it.
    assert "approve" not in iron_simulator.requests()[-1]["body"]


@kinds
@pytest.mark.parametrize(
    ("given", "reason"),
    [(False, "the approver denies it"), ("not on a Sunday", "the approver denies it: not on a Sunday")],
)
async def test_a_call_that_is_denied_is_not_shown_and_was_paid_for(client_with, given, reason, later):
    approve, asked = answering(given, later=later)
    client = client_with(approve)
    with iron.budget(1) as budget, pytest.raises(iron.PolicyDeniedError) as caught:
        await client.chat("Hello", tools=TOOLS)
    error = caught.value
    assert str(error) == f'rule "tools.require_approval" refuses the tool "send_mail": {reason}'
    assert (error.rule, error.tool, error.direction) == (
        "tools.require_approval",
        "send_mail",
        "tool_arguments",
    )
    assert error.__cause__ is None
    assert not error.retryable
    assert len(asked) == 1
    assert budget.spent > 0
    assert budget.held == 0


async def test_without_an_approver_the_error_says_what_to_do(client_with):
    with pytest.raises(iron.PolicyDeniedError, match="no approver to ask: give one to the client") as caught:
        await client_with().chat("Hello", tools=TOOLS)
    assert caught.value.tool == "send_mail"


async def test_a_tool_that_needs_none_is_asked_of_nobody(client_with, iron_simulator):
    iron_simulator.set_rules([{"reply": {"tool_calls": [{"name": "search", "arguments": {}}]}}])
    approve, asked = answering(False, later=False)  # noqa: FBT003 - what an approver gives
    reply = await client_with(approve).chat("Hello", tools=TOOLS)
    assert [call.name for call in reply.tool_calls] == ["search"]
    assert asked == []


class Fault(BaseException):
    pass


@kinds
@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError, Fault])
async def test_what_it_raises_is_the_cause_of_a_denial(client_with, later, kind):
    approve, _ = answering(kind("Ada"), later=later)
    with pytest.raises(iron.PolicyDeniedError, match="the approver failed") as caught:
        await client_with(approve).chat("Hello", tools=TOOLS)
    cause = caught.value.__cause__
    assert type(cause) is kind
    names = []
    trace = cause.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-1] == "decide"
    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_a_function_that_would_end_the_program_ends_its_call_alone(client_with, kind):
    approve, _ = answering(kind(), later=False)
    with pytest.raises(iron.PolicyDeniedError) as caught:
        await client_with(approve).chat("Hello", tools=TOOLS)
    assert type(caught.value.__cause__) is kind


@pytest.mark.parametrize("given", [None, 1, 0, [], object()])
async def test_what_is_no_answer_is_a_denial(client_with, given):
    approve, _ = answering(given, later=False)
    with pytest.raises(iron.PolicyDeniedError, match="the approver failed") as caught:
        await client_with(approve).chat("Hello", tools=TOOLS)
    assert "give True, False, or why not" in str(caught.value.__cause__)


async def test_each_of_several_calls_is_asked_about_and_one_denial_denies_the_reply(
    client_with, iron_simulator
):
    names = ["Ada", "Bob", "Cyd"]
    calls = [{"name": "send_mail", "arguments": {"to": name}} for name in names]
    iron_simulator.set_rules([{"reply": {"tool_calls": calls}}])
    asked = []

    async def approve(request):
        asked.append(request.arguments["to"])
        # All are asked at once: none answers before the last is.
        await until(lambda: len(asked) >= len(names))
        if request.arguments["to"] == "Bob":
            raise ValueError("Bob")
        return True

    with pytest.raises(iron.PolicyDeniedError) as caught:
        await client_with(approve).chat("Hello", tools=TOOLS)
    assert sorted(asked) == names
    assert str(caught.value.__cause__) == "Bob"


@kinds
async def test_no_answer_in_time_is_a_denial(client_with, later):
    never, began, cancelled = threading.Event(), [], []

    def block(_):
        never.wait()

    async def wait(request):
        began.append(request.tool)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.append(request.tool)

    client = client_with(wait if later else block, approval_timeout_ms=100)
    with pytest.raises(iron.PolicyDeniedError, match=r"no approval came within 0\.1 s"):
        await client.chat("Hello", tools=TOOLS)
    # On a machine that is busy it may be too late before it is asked.
    await until(lambda: cancelled == began)
    never.set()


async def test_the_deadline_of_the_call_ends_the_wait(client_with):
    async def wait(_):
        await asyncio.get_running_loop().create_future()

    with pytest.raises(iron.PolicyDeniedError, match="no approval came"):
        await client_with(wait).chat("Hello", tools=TOOLS, timeout=0.5)


async def test_one_that_blocks_the_loop_is_late_and_denied(client_with):
    async def block(_):
        # What no coroutine function should do: meanwhile the loop does nothing else.
        threading.Event().wait(0.1)
        return True

    with pytest.raises(iron.PolicyDeniedError, match="no approval came"):
        await client_with(block, approval_timeout_ms=1).chat("Hello", tools=TOOLS)


async def test_a_call_that_is_cancelled_cancels_it(client_with):
    wait, began, cancelled = unanswered()
    client = client_with(wait)
    call = asyncio.ensure_future(client.chat("Hello", tools=TOOLS))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(cancelled.wait(), 20)
    await until(lambda: client.in_flight == 0)


@kinds
async def test_it_sees_the_context_of_the_caller(client_with, later):
    tenant = contextvars.ContextVar("tenant")

    def decide(_):
        seen = tenant.get()
        tenant.set("changed")
        return seen

    async def decide_later(request):
        return decide(request)

    client = client_with(decide_later if later else decide)

    async def call(name):
        tenant.set(name)
        with pytest.raises(iron.PolicyDeniedError, match=f"denies it: {name}$"):
            await client.chat("Hello", tools=TOOLS)
        assert tenant.get() == name

    await asyncio.gather(*(call(f"tenant {number}") for number in range(20)))


@kinds
async def test_that_of_a_call_stands_before_that_of_its_client(client_with, later):
    approve, asked = answering(True, later=later)  # noqa: FBT003 - what an approver gives
    other, not_asked = answering(False, later=later)  # noqa: FBT003 - what an approver gives
    assert (await client_with(other).chat("Hello", tools=TOOLS, approve=approve)).tool_calls
    assert (await client_with().chat("Hello", tools=TOOLS, approve=approve)).tool_calls
    assert (len(asked), not_asked) == (2, [])


@kinds
def test_code_without_a_loop(client_with, later):
    approve, _ = answering(True, later=later)  # noqa: FBT003 - what an approver gives
    assert client_with(approve, kind=iron.SyncClient).chat("Hello", tools=TOOLS).tool_calls
    client = client_with(kind=iron.SyncClient)
    assert client.chat("Hello", tools=TOOLS, approve=approve).tool_calls
    failing, _ = answering(ValueError(), later=later)
    with pytest.raises(iron.PolicyDeniedError) as caught:
        client.chat("Hello", tools=TOOLS, approve=failing)
    assert type(caught.value.__cause__) is ValueError


async def test_one_may_make_calls_of_its_own(client_with, iron_simulator):
    async def ask_a_model(_):
        iron_simulator.set_rules([{"reply": {"text": "yes"}}])
        return (await client.chat("May it?")).text == "yes"

    client = client_with(ask_a_model)
    assert (await client.chat("Hello", tools=TOOLS)).tool_calls


async def test_one_that_asks_itself_is_told(client_with):
    async def ask_again(_):
        return bool(await client.chat("Hello", tools=TOOLS))

    client = client_with(ask_again)
    with pytest.raises(iron.PolicyDeniedError) as caught:
        await client.chat("Hello", tools=TOOLS)
    inner = caught.value.__cause__
    assert isinstance(inner, iron.PolicyDeniedError)
    assert "a callable cannot make a call that asks it again" in str(inner.__cause__)


async def test_arguments_that_are_none_are_a_denial(client_with, iron_simulator):
    call = {"name": "send_mail", "arguments": "{to: Ada}"}
    iron_simulator.set_rules([{"reply": {"tool_calls": [call]}}])
    approve, asked = answering(True, later=False)  # noqa: FBT003 - what an approver gives
    with pytest.raises(iron.PolicyDeniedError) as caught:
        await client_with(approve, check_arguments=False).chat("Hello", tools=TOOLS)
    assert str(caught.value.__cause__) == "the arguments are no JSON object: nobody can be asked about them"
    assert caught.value.__cause__.__cause__ is None
    assert asked == []


async def test_the_default_client_has_one(client_with, iron_simulator, monkeypatch):
    assert client_with
    monkeypatch.setattr(iron._api, "_default", None)
    approve, asked = answering(True, later=False)  # noqa: FBT003 - what an approver gives
    settings = {"tools": {"require_approval": ["send_*"]}}
    url = iron_simulator.url
    iron.configure(settings, base_url=url, api_key="k", model="openai/gpt-6-luna", approve=approve)
    assert (await iron.chat("Hello", tools=TOOLS)).tool_calls
    assert (await iron.chat("Hello", tools=TOOLS, approve=approve)).tool_calls
    assert len(asked) == 2


async def test_what_is_no_function_is_refused(client_with, iron_simulator):
    with pytest.raises(iron.ConfigError, match="approve is of type bool; give a function, async or not"):
        iron.Client({}, approve=True)
    with pytest.raises(iron.ConfigError, match="approve is of type str"):
        await client_with().chat("Hello", approve="yes")
    with pytest.raises(iron.ConfigError, match="approve"):
        await client_with().embed("Hello", approve=lambda _: True)
    assert iron_simulator.requests() == []


def test_an_estimate_asks_nobody(client_with):
    approve, asked = answering(False, later=False)  # noqa: FBT003 - what an approver gives
    assert client_with().estimate("Hello", tools=TOOLS, approve=approve).cost > 0
    assert asked == []


@kinds
async def test_a_stream_shows_what_is_said_and_then_what_is_approved(client_with, iron_simulator, later):
    reply = {"text": "I will send it", "tool_calls": [{"name": "send_mail", "arguments": {"to": "Ada"}}]}
    iron_simulator.set_rules([{"reply": reply}])
    approve, asked = answering(True, later=later)  # noqa: FBT003 - what an approver gives
    async with client_with(approve).stream("Hello", tools=TOOLS) as stream:
        shown = [
            (chunk.text, [call.arguments for call in chunk.tool_calls], len(asked)) async for chunk in stream
        ]
        (call,) = (await stream.reply()).tool_calls
    assert "".join(text for text, _, _ in shown) == "I will send it"
    # Calls are shown whole, and after somebody was asked.
    assert [(calls, count) for _, calls, count in shown if calls] == [(['{"to":"Ada"}'], 1)]
    assert call.parsed_arguments() == {"to": "Ada"}
    assert asked[0].call_id == call.id


@kinds
async def test_a_denial_ends_a_stream_behind_what_was_said(client_with, iron_simulator, later):
    reply = {"text": "I will send it", "tool_calls": [{"name": "send_mail", "arguments": {"to": "Ada"}}]}
    iron_simulator.set_rules([{"reply": reply}])
    approve, _ = answering(ValueError("Ada"), later=later)
    said = []
    with iron.budget(1) as budget, pytest.raises(iron.PolicyDeniedError) as caught:
        async for chunk in client_with(approve).stream("Hello", tools=TOOLS):
            said.append(chunk.text)
            assert not chunk.tool_calls
    assert "".join(said) == "I will send it"
    assert type(caught.value.__cause__) is ValueError
    assert (caught.value.tool, caught.value.direction) == ("send_mail", "tool_arguments")
    assert budget.spent > 0
    assert budget.held == 0


async def test_a_stream_that_is_left_cancels_its_approval(client_with):
    wait, began, cancelled = unanswered()
    client = client_with(wait)
    async with client.stream("Hello", tools=TOOLS):
        await asyncio.wait_for(began.wait(), 20)
    await asyncio.wait_for(cancelled.wait(), 20)
    await until(lambda: client.in_flight == 0)


@kinds
def test_a_stream_without_a_loop(client_with, later):
    approve, asked = answering(True, later=later)  # noqa: FBT003 - what an approver gives
    with client_with(kind=iron.SyncClient).stream("Hello", tools=TOOLS, approve=approve) as stream:
        assert [call.name for call in stream.reply().tool_calls] == ["send_mail"]
    assert len(asked) == 1
