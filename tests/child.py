"""Child processes: programs that a test runs on its own interpreter, beside a simulator."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap

TIMEOUT_SECONDS = 50

# What every program begins with.
PREAMBLE = """
import asyncio, os, sys
import iron_sdk as iron

URL = os.environ.get("SIMULATOR_URL")

def client(**options):
    return iron.Client({}, base_url=URL, api_key="k", model="openai/gpt-6-luna", **options)

def sync_client(**options):
    return iron.SyncClient({}, base_url=URL, api_key="k", model="openai/gpt-6-luna", **options)

def wait_for_go():
    # The test has seen at the simulator what it waits for.
    assert sys.stdin.readline() == "go\\n"
"""


@contextlib.contextmanager
def start(program, *, simulator=None, pinned=False, preamble=PREAMBLE):
    """Run a program beside the block; `pinned` keeps it on one core."""
    pin = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" if pinned else ""
    source = pin + preamble + textwrap.dedent(program)
    environment = {**os.environ, **({"SIMULATOR_URL": simulator.url} if simulator else {})}
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        [sys.executable, "-c", source],
        # The working directory is on the path of a program: the source tree would hide the installed package.
        cwd=os.sep,
        env=environment,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            child.communicate()


def finish(child, *, go=False):
    """Wait for a program's end, and give what it printed; it must end well and complain of nothing."""
    try:
        output, errors = child.communicate("go\n" if go else None, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        output, errors = child.communicate()
        raise AssertionError(f"the program hangs\n{output}\n{errors}") from None
    assert (child.returncode, errors) == (0, ""), f"ended with {child.returncode}\n{output}\n{errors}"
    return output


def run(program, **options):
    """Run a program to its end, and give what it printed."""
    with start(program, **options) as child:
        return finish(child)
