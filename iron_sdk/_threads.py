"""Threads for callables of the user's own: a few for those that block, and a loop for callers without one.

They are daemons: a callable that never returns does not keep the process from ending.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from iron_sdk._loop import current_port

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from iron_sdk._iron import Port

# So many callables block at once. One that never returns keeps its thread: with all kept, others time out.
MAX_THREADS = 16
_END_SECONDS = 1.0

_jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
_idle = threading.Semaphore(0)
_lock = threading.Lock()
_started = 0
_port: Port | None = None


def submit(job: Callable[[], None]) -> None:
    """Run a job, which raises nothing, in one of the threads.

    Raises:
        RuntimeError: The process is at its end.
    """
    global _started  # noqa: PLW0603 - one set of threads for the process
    if not _idle.acquire(blocking=False):
        with _lock:
            if _started < MAX_THREADS:
                threading.Thread(target=_work, name=f"iron-callable-{_started}", daemon=True).start()
                _started += 1
    _jobs.put(job)


def _work() -> None:
    while True:
        job = _jobs.get()
        job()
        # Not kept while there is nothing to do.
        del job
        _idle.release()


def blocking_port() -> Port:
    """Give the port of a loop of our own, in a thread of its own, for callers that have none.

    Raises:
        RuntimeError: The process is at its end.
    """
    global _port  # noqa: PLW0603 - one for the process
    with _lock:
        if _port is None:
            _port = _open()
        return _port


def _open() -> Port:
    from asyncio import new_event_loop

    loop = new_event_loop()
    opened: SimpleQueue[Port | BaseException] = SimpleQueue()
    loop.call_soon(_tell_port, opened)
    threading.Thread(target=_run, args=(loop,), name="iron-loop", daemon=True).start()
    atexit.register(_end, loop)
    port = opened.get()
    if isinstance(port, BaseException):
        raise port
    return port


def _tell_port(opened: SimpleQueue[Port | BaseException]) -> None:
    try:
        opened.put(current_port())
    except BaseException as error:  # noqa: BLE001 - it is raised where the port is wanted
        opened.put(error)


def _end(loop: AbstractEventLoop) -> None:
    """Cancel what the loop still runs at the end of the process, of which asyncio would complain."""
    ended = threading.Event()
    loop.call_soon_threadsafe(_cancel_all, loop, ended)
    # A callable that blocks the loop is not waited for.
    ended.wait(_END_SECONDS)


def _cancel_all(loop: AbstractEventLoop, ended: threading.Event) -> None:
    from asyncio import all_tasks

    for task in all_tasks(loop):
        task.cancel()
    # Tasks learn of it in the next turn, and those that wait for them in the one after.
    loop.call_soon(loop.call_soon, ended.set)


def _run(loop: AbstractEventLoop) -> None:
    while True:
        # A callable that wants to end the program ends its call alone: this is not the program's loop.
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            loop.run_forever()
