"""Forked, spawned and forkserver children of a process that makes calls."""

from __future__ import annotations

import json

import pytest
from child import run, start
from command import iron as command

FORK = """
import warnings
# Python 3.12 and later warn of every fork in a process with threads.
warnings.simplefilter("ignore", DeprecationWarning)

def in_child(check):
    pid = os.fork()
    if pid == 0:
        try:
            check()
        except BaseException as error:
            print("child raised", repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def refused(call):
    try:
        call()
    except iron.ForkedProcessError as error:
        assert "spawn" in str(error) and "forkserver" in str(error), error
        assert isinstance(error, iron.ClosedError)
    else:
        raise AssertionError("not refused")
"""


def test_after_use_every_entry_is_refused(iron_simulator):
    run(
        FORK
        + """
one, sync = client(budget="1"), sync_client()
budget = iron.budget("1")
stream, sync_stream = one.stream("Hello"), sync.stream("Hello")
asyncio.run(one.chat("Hello"))

def check():
    refused(lambda: asyncio.run(one.chat("Hello")))
    refused(lambda: asyncio.run(one.embed("Hello", model="openai/text-embedding-3-small")))
    refused(lambda: one.stream("Hello"))
    refused(lambda: asyncio.run(stream.reply()))
    refused(lambda: next(sync_stream))
    refused(lambda: sync.chat("Hello"))
    refused(lambda: sync.close())
    refused(lambda: asyncio.run(one.aclose()))
    refused(client)
    refused(lambda: one.in_flight)
    refused(lambda: one.budget)
    refused(lambda: budget.spent)
    refused(lambda: iron.budget("1"))
    refused(lambda: asyncio.run(iron.chat("Hello")))

in_child(check)
assert sync.chat("Hello").text == "echo: Hello"
assert asyncio.run(stream.reply()).text == "echo: Hello"
""",
        simulator=iron_simulator,
    )


def test_before_use_the_child_calls_for_itself(iron_simulator):
    run(
        FORK
        + """
one = client(budget="1")

def check():
    assert asyncio.run(one.chat("Hello")).text == "echo: Hello"
    assert one.budget.spent > 0
    assert sync_client().chat("Hello").text == "echo: Hello"

in_child(check)
assert one.budget.spent == 0
assert asyncio.run(one.chat("Hello")).text == "echo: Hello"
""",
        simulator=iron_simulator,
    )


def test_in_mid_call_the_parent_goes_on(iron_simulator):
    iron_simulator.set_rules([{"when": {"text": "slow"}, "tokens_per_second": 100}])
    run(
        FORK
        + """
async def main():
    one = client(budget="1")
    call = asyncio.ensure_future(one.chat("slow"))
    async with one.stream("slow") as stream:
        await stream.__anext__()

        def check():
            call.cancel()
            for end in (stream._native.close, one._native.close):
                refused(end)
            # The loop itself is usable for the child's own cleaning up.
            del stream._native

        in_child(check)
        text = "".join([chunk.text async for chunk in stream])
        assert text == "echo: slow", text
    assert (await call).text == "echo: slow"
    assert one.budget.held == 0

asyncio.run(main())
""",
        simulator=iron_simulator,
    )


def test_a_child_that_exits_the_long_way_is_clean(iron_simulator):
    run(
        FORK
        + """
one = client(budget="1")
asyncio.run(one.chat("Hello"))
pid = os.fork()
if pid == 0:
    # Runs the exit hook and every destructor in the child.
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert asyncio.run(one.chat("Hello")).text == "echo: Hello"
""",
        simulator=iron_simulator,
    )


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_multiprocessing_works(iron_simulator, method, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import multiprocessing, os
import iron_sdk as iron

def work(number):
    url = os.environ["SIMULATOR_URL"]
    with iron.SyncClient({{}}, base_url=url, api_key="k", model="openai/gpt-6-luna") as client:
        return client.chat(f"number {{number}}").text

if __name__ == "__main__":
    work(0)
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        assert pool.map(work, range(4)) == [f"echo: number {{n}}" for n in range(4)]
        pool.close()
        pool.join()
"""
    )
    run(
        f"import runpy; sys.argv = [{str(program)!r}]; runpy.run_path({str(program)!r}, run_name='__main__')",
        simulator=iron_simulator,
    )


def test_multiprocessing_by_fork_says_what_to_do(iron_simulator):
    run(
        FORK
        + """
import multiprocessing

def work():
    try:
        sync_client().chat("Hello")
    except iron.ForkedProcessError as error:
        assert "forkserver" in str(error)
    else:
        os._exit(1)

sync_client().chat("Hello")
worker = multiprocessing.get_context("fork").Process(target=work)
worker.start()
worker.join()
assert worker.exitcode == 0
""",
        simulator=iron_simulator,
    )


def test_a_child_does_not_keep_the_lease_of_its_dead_parent(iron_simulator, tmp_path):
    ledger = str(tmp_path / "ledger.db")
    program = (
        FORK
        + f"""
budget = {{"limit_usd": "1", "ledger": {ledger!r}}}
one = iron.SyncClient({{"budget": budget}}, base_url=URL, api_key="k", model="openai/gpt-6-luna")
one.chat("Hello", max_tokens=50)
if os.fork() == 0:
    print("child lives", flush=True)
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""
    )

    def leases():
        shown = json.loads(command("budget", "show", "--json", "--ledger", ledger).stdout)
        return [lease["is_alive"] for lease in shown["budgets"][0]["windows"][0]["leases"]]

    with start(program, simulator=iron_simulator) as parent:
        assert parent.stdout.readline() == "child lives\n"
        assert leases() == [True], "the child has let go of it, and the parent has not"
        parent.kill()
        parent.wait()
        assert leases() == [False]
        released = command("budget", "release", "--ledger", ledger)
        assert "1 lease of a dead process" in released.stdout, released
        assert leases() == []
        # Only now the child ends.
        parent.communicate()
    assert command("budget", "verify", "--ledger", ledger).returncode == 0
