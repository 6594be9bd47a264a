"""Importing the package: cheap, and without effects."""

from __future__ import annotations

from child import run


def test_it_starts_nothing_and_opens_nothing():
    run(
        """
        import os, sys, threading
        threads, descriptors = len(os.listdir("/proc/self/task")), set(os.listdir("/proc/self/fd"))
        import iron_sdk
        assert len(os.listdir("/proc/self/task")) == threads
        assert set(os.listdir("/proc/self/fd")) == descriptors
        # asyncio alone takes longer to import than all of iron_sdk.
        for heavy in ("asyncio", "decimal", "json", "pydantic", "pytest"):
            assert heavy not in sys.modules, heavy
        with iron_sdk.budget("1") as budget:
            assert budget.held == 0
        iron_sdk.SyncClient({}, api_key="k", base_url="http://127.0.0.1:9/v1")
        assert len(os.listdir("/proc/self/task")) == threads
        """,
        preamble="",
    )


SUBINTERPRETERS = """
import sys
import iron_sdk

if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters

def create(own_lock):
    if sys.version_info >= (3, 13):
        return interpreters.create(interpreters.new_config("isolated" if own_lock else "legacy"))
    return interpreters.create(isolated=own_lock)

PROGRAM = '''
try:
    import iron_sdk
except ImportError as error:
    pass
else:
    raise AssertionError("imported")
'''

for own_lock in (False, True):
    interpreter = create(own_lock)
    failure = interpreters.run_string(interpreter, PROGRAM)
    interpreters.destroy(interpreter)
    assert failure is None, failure

iron_sdk.budget("1")
"""


def test_another_interpreter_of_the_process_is_refused():
    run(SUBINTERPRETERS, preamble="")
