"""Ctrl-C during a call."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from child import finish, start
from waiting import in_progress, until_blocking

STALL = {"fault": {"kind": "stall", "at": "before_headers"}}


def interrupt(child, simulator):
    """Press Ctrl-C while the program's main thread waits.

    Python sees a signal that comes right before a wait only after it, and this wait would not end.
    """
    stat = Path(f"/proc/{child.pid}/task/{child.pid}/stat")

    def waits():
        return in_progress(simulator, 1)() and stat.read_text().rpartition(")")[2].split()[0] == "S"

    until_blocking(waits)
    child.send_signal(signal.SIGINT)


INTERRUPTED = """
import time

def interrupted(run):
    try:
        run()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    else:
        raise AssertionError("not interrupted")
"""

ASYNC_CALL = """
one = client(budget="1")
async def main():
    await one.chat("Hello")
interrupted(lambda: asyncio.run(main()))
"""

ASYNC_STREAM = """
one = client(budget="1")
async def main():
    async for chunk in one.stream("Hello"):
        pass
interrupted(lambda: asyncio.run(main()))
"""

SYNC_CALL = """
one = sync_client(budget="1")
interrupted(lambda: one.chat("Hello"))
"""

SYNC_STREAM = """
one = sync_client(budget="1")
interrupted(lambda: list(one.stream("Hello")))
"""

RELEASED = """
# Before Python 3.11 the interrupted task, and with it the stream, is in a cycle.
import gc
gc.collect()
while one.budget.held or one.in_flight:
    pass
"""


@pytest.mark.parametrize(
    "program",
    [ASYNC_CALL, ASYNC_STREAM, SYNC_CALL, SYNC_STREAM],
    ids=["async", "async_stream", "sync", "sync_stream"],
)
def test_it_interrupts_and_releases(iron_simulator, program):
    iron_simulator.set_rules([STALL])
    with start(INTERRUPTED + program + RELEASED, simulator=iron_simulator) as child:
        interrupt(child, iron_simulator)
        assert finish(child) == "interrupted\n"
        assert iron_simulator.quiet()


def test_calls_work_afterwards(iron_simulator):
    iron_simulator.set_rules([{"when": {"nth": 1}, **STALL}])
    with start(
        INTERRUPTED + SYNC_CALL + 'assert one.chat("Hello").text == "echo: Hello"', simulator=iron_simulator
    ) as child:
        interrupt(child, iron_simulator)
        assert finish(child) == "interrupted\n"
