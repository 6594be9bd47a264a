"""Callables of the user's own at the edges of a process: its end, its children, its kinds of loops."""

from __future__ import annotations

import pytest
from child import PREAMBLE, finish, run, start
from waiting import until_blocking

TIMES = 5

WITH_DETECTOR = (
    PREAMBLE
    + """
import threading, time, warnings

# Python 3.12 and later warn of every fork in a process with threads.
warnings.simplefilter("ignore", DeprecationWarning)

RULES = [{"what": ["detector:tone"], "direction": ["input"], "action": "redact"}]

def asking(detector, kind=iron.Client):
    settings = {"policy": {"rules": RULES}}
    return kind(settings, base_url=URL, api_key="k", model="openai/gpt-6-luna", detectors={"tone": detector})
"""
)

WITH_APPROVER = (
    WITH_DETECTOR
    + """
TOOLS = [{"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}]

def approving(approve, kind=iron.Client):
    settings = {"tools": {"require_approval": ["send"]}}
    return kind(settings, base_url=URL, api_key="k", model="openai/gpt-6-luna", approve=approve)
"""
)
CALLING = [{"reply": {"tool_calls": [{"name": "send", "arguments": {}}]}}]

pinned = pytest.mark.parametrize("pinned", [False, True], ids=["all_cores", "one_core"])


@pinned
@pytest.mark.parametrize("blocks", [True, False], ids=["function", "coroutine"])
def test_exit_while_one_runs(iron_simulator, pinned, blocks):
    for _ in range(TIMES):
        run(
            f"""
            began = threading.Event()

            def block(text):
                began.set()
                threading.Event().wait()

            async def wait(text):
                began.set()
                await asyncio.get_running_loop().create_future()

            async def main():
                call = asyncio.ensure_future(asking({"block" if blocks else "wait"}).chat("Hello"))
                await asyncio.get_running_loop().run_in_executor(None, began.wait)
                sys.exit(0)

            asyncio.run(main())
            """,
            simulator=iron_simulator,
            pinned=pinned,
            preamble=WITH_DETECTOR,
        )


@pinned
def test_exit_while_a_daemon_waits_for_one(iron_simulator, pinned):
    for _ in range(TIMES):
        run(
            """
            began = threading.Event()

            async def wait(text):
                began.set()
                await asyncio.get_running_loop().create_future()

            client = asking(wait, iron.SyncClient)

            def call():
                try:
                    client.chat("Hello")
                except iron.IronError:
                    pass

            threading.Thread(target=call, daemon=True).start()
            began.wait()
            """,
            simulator=iron_simulator,
            pinned=pinned,
            preamble=WITH_DETECTOR,
        )


def test_a_forked_child_is_refused_and_ends(iron_simulator):
    output = run(
        """
        client = asking(lambda text: False, iron.SyncClient)
        client.chat("Hello")
        child = os.fork()
        if child == 0:
            try:
                client.chat("Hello")
            except iron.ForkedProcessError:
                print("refused", flush=True)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(client.chat("again").text)
        """,
        simulator=iron_simulator,
        preamble=WITH_DETECTOR,
    )
    assert output.split("\n")[:2] == ["refused", "echo: again"]


def test_one_that_is_made_before_a_fork_works_in_the_child(iron_simulator):
    output = run(
        """
        child = os.fork()
        print(asking(lambda text: True, iron.SyncClient).chat("Hello").text, flush=True)
        if child:
            assert os.waitpid(child, 0)[1] == 0
        """,
        simulator=iron_simulator,
        preamble=WITH_DETECTOR,
    )
    # Both write at once, and a line and its end may come apart.
    assert output.count("echo: [detector:tone]") == 2


def test_on_uvloop(iron_simulator):
    pytest.importorskip("uvloop")
    output = run(
        """
        import contextvars, uvloop

        tenant = contextvars.ContextVar("tenant")

        async def see(text):
            await asyncio.sleep(0)
            return tenant.get() == text

        async def main():
            tenant.set("mine")
            client = asking(see)
            print((await client.chat("mine")).text, (await client.chat("yours")).text)

        uvloop.run(main())
        """,
        simulator=iron_simulator,
        preamble=WITH_DETECTOR,
    )
    assert output == "echo: [detector:tone] echo: yours\n"


def test_ctrl_c_interrupts_a_blocking_call_that_waits_for_one(iron_simulator):
    with start(
        """
        import signal

        def block(text):
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait()

        try:
            asking(block, iron.SyncClient).chat("Hello")
        except KeyboardInterrupt:
            print("interrupted")
        """,
        simulator=iron_simulator,
        preamble=WITH_DETECTOR,
    ) as child:
        assert finish(child) == "interrupted\n"
    until_blocking(lambda: iron_simulator.stats()["in_progress"] == 0)


@pinned
@pytest.mark.parametrize("blocks", [True, False], ids=["function", "coroutine"])
def test_exit_while_an_approval_is_pending(iron_simulator, pinned, blocks):
    iron_simulator.set_rules(CALLING)
    for _ in range(TIMES):
        run(
            f"""
            began = threading.Event()

            def block(request):
                began.set()
                threading.Event().wait()

            async def wait(request):
                began.set()
                await asyncio.get_running_loop().create_future()

            async def main():
                client = approving({"block" if blocks else "wait"})
                call = asyncio.ensure_future(client.chat("Hello", tools=TOOLS))
                await asyncio.get_running_loop().run_in_executor(None, began.wait)
                sys.exit(0)

            asyncio.run(main())
            """,
            simulator=iron_simulator,
            pinned=pinned,
            preamble=WITH_APPROVER,
        )


@pinned
def test_exit_while_a_daemon_waits_for_an_approval(iron_simulator, pinned):
    iron_simulator.set_rules(CALLING)
    for _ in range(TIMES):
        run(
            """
            began = threading.Event()

            async def wait(request):
                began.set()
                await asyncio.get_running_loop().create_future()

            client = approving(wait, iron.SyncClient)

            def call():
                try:
                    client.chat("Hello", tools=TOOLS)
                except iron.IronError:
                    pass

            threading.Thread(target=call, daemon=True).start()
            began.wait()
            """,
            simulator=iron_simulator,
            pinned=pinned,
            preamble=WITH_APPROVER,
        )


def test_a_loop_that_closes_under_an_approval_gives_it_up(iron_simulator):
    iron_simulator.set_rules(CALLING)
    output = run(
        """
        began = threading.Event()

        async def wait(request):
            began.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                print("given up")

        client = approving(wait)

        async def main():
            call = asyncio.ensure_future(client.chat("Hello", tools=TOOLS))
            await asyncio.get_running_loop().run_in_executor(None, began.wait)

        asyncio.run(main())
        deadline = time.monotonic() + 20
        while client.in_flight:
            assert time.monotonic() < deadline

        async def again():
            return await client.chat("Hello", tools=TOOLS, approve=lambda request: True)

        print(len(asyncio.run(again()).tool_calls))
        """,
        simulator=iron_simulator,
        preamble=WITH_APPROVER,
    )
    assert output == "given up\n1\n"


def test_a_child_that_is_forked_while_an_approval_is_pending_ends(iron_simulator):
    iron_simulator.set_rules(CALLING)
    output = run(
        """
        asked, answer = threading.Event(), threading.Event()

        def approve(request):
            asked.set()
            answer.wait()
            return True

        client = approving(approve, iron.SyncClient)
        replies = []
        thread = threading.Thread(target=lambda: replies.append(client.chat("Hello", tools=TOOLS)))
        thread.start()
        asked.wait()
        child = os.fork()
        if child == 0:
            try:
                client.chat("Hello", tools=TOOLS)
            except iron.ForkedProcessError:
                print("refused", flush=True)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        answer.set()
        thread.join()
        print(len(replies[0].tool_calls))
        """,
        simulator=iron_simulator,
        preamble=WITH_APPROVER,
    )
    assert output == "refused\n1\n"


def test_ctrl_c_interrupts_a_blocking_call_that_waits_for_an_approval(iron_simulator):
    iron_simulator.set_rules(CALLING)
    with start(
        """
        import signal

        def block(request):
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait()

        client = approving(block, iron.SyncClient)
        try:
            client.chat("Hello", tools=TOOLS)
        except KeyboardInterrupt:
            print("interrupted")
        """,
        simulator=iron_simulator,
        preamble=WITH_APPROVER,
    ) as child:
        assert finish(child) == "interrupted\n"


def test_approvals_on_uvloop(iron_simulator):
    pytest.importorskip("uvloop")
    iron_simulator.set_rules(CALLING)
    output = run(
        """
        import uvloop

        async def approve(request):
            await asyncio.sleep(0)
            return request.tool == "send"

        async def main():
            print(len((await approving(approve).chat("Hello", tools=TOOLS)).tool_calls))

        uvloop.run(main())
        """,
        simulator=iron_simulator,
        preamble=WITH_APPROVER,
    )
    assert output == "1\n"


@pinned
@pytest.mark.parametrize("blocks", [True, False], ids=["function", "coroutine"])
def test_exit_while_a_stream_waits_for_an_approval(iron_simulator, pinned, blocks):
    iron_simulator.set_rules(CALLING)
    for _ in range(TIMES):
        run(
            f"""
            began = threading.Event()

            def block(request):
                began.set()
                threading.Event().wait()

            async def wait(request):
                began.set()
                await asyncio.get_running_loop().create_future()

            async def main():
                client = approving({"block" if blocks else "wait"})
                async with client.stream("Hello", tools=TOOLS):
                    await asyncio.get_running_loop().run_in_executor(None, began.wait)
                    sys.exit(0)

            asyncio.run(main())
            """,
            simulator=iron_simulator,
            pinned=pinned,
            preamble=WITH_APPROVER,
        )


def test_a_stream_outlives_the_loop_that_it_was_begun_on(iron_simulator):
    iron_simulator.set_rules(CALLING)
    output = run(
        """
        began, given_up = threading.Event(), []

        async def wait(request):
            began.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                given_up.append(request.tool)

        client = approving(wait)
        streams = []

        async def begin():
            streams.append(client.stream("Hello", tools=TOOLS))
            await streams[0].__aenter__()
            await asyncio.get_running_loop().run_in_executor(None, began.wait)

        async def read():
            try:
                async for chunk in streams[0]:
                    assert not chunk.tool_calls
            except iron.PolicyDeniedError as denied:
                print(type(denied.__cause__).__name__)

        asyncio.run(begin())
        asyncio.run(read())
        print(given_up, client.in_flight)
        """,
        simulator=iron_simulator,
        preamble=WITH_APPROVER,
    )
    assert output == "CancelledError\n['send'] 0\n"
