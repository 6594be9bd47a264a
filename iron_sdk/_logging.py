"""What the core logs, handed to `logging` by a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, TypeAlias

from iron_sdk import _iron

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

NativeRecord: TypeAlias = "tuple[int, float, str, int, str, dict[str, object]]"
"""Level, seconds since 1970, file, line, message and fields."""

_OFF = 255
# Handlers that are slower than this lose what is left at the end of the process.
_JOIN_SECONDS = 1.0

_thread: threading.Thread | None = None
_level: Callable[[], int] | None = None


def start() -> int:
    """Start the thread; the core calls this once, with the first call of the process.

    Returns:
        The least level that the logger takes.
    """
    import logging

    global _level, _thread  # noqa: PLW0603 - one for the process
    logger = logging.getLogger("iron_sdk")
    # As a library does: without it, a program that configures no logging would see warnings on stderr.
    logger.addHandler(logging.NullHandler())
    thread = threading.Thread(target=_deliver, args=(logger,), name="iron-log", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        # The process is at its end and starts no thread any more: then calls are made and nothing is logged.
        return _OFF
    _thread = thread
    _level = logger.getEffectiveLevel
    return _level()


def note_level() -> None:
    """Tell the core which level the logger takes now. The logger caches it."""
    if _level is not None:
        _iron.set_log_level(_level())


def stop() -> None:
    """Hand over what is left and end the thread."""
    if _thread is not None:
        _iron.close_logs()
        _thread.join(_JOIN_SECONDS)


def _deliver(logger: logging.Logger) -> None:
    while (taken := _iron.take_logs()) is not None:
        records, dropped = taken
        for record in records:
            _hand_over(logger, record)
        if dropped:
            _, at, *_ = records[-1]
            fields: dict[str, object] = {"dropped": dropped}
            _hand_over(logger, (30, at, __file__, 0, f"handlers are slow: dropped={dropped}", fields))


def _hand_over(logger: logging.Logger, native: NativeRecord) -> None:
    level, at, file, line, message, fields = native
    # What is wrong with a handler or a filter is not for calls to suffer.
    with contextlib.suppress(Exception):
        if logger.isEnabledFor(level):
            record = logger.makeRecord(logger.name, level, file, line, message, (), None, extra=fields)
            record.relativeCreated -= (record.created - at) * 1000
            record.created = at
            record.msecs = at % 1 * 1000
            logger.handle(record)
