"""Waiting for a condition, without guessing how long it takes."""

from __future__ import annotations

import asyncio
import threading

TIMEOUT_SECONDS = 20


async def until(condition):
    """Wait until the condition holds."""

    async def look():
        while not condition():
            await asyncio.sleep(0)

    await asyncio.wait_for(look(), TIMEOUT_SECONDS)


def unanswered():
    """Make a function that never answers, and the events that it has begun and that it was cancelled."""
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(_):
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    return wait, began, cancelled


def until_blocking(condition):
    """Wait until the condition holds, in a thread without an event loop."""
    expired = threading.Event()
    timer = threading.Timer(TIMEOUT_SECONDS, expired.set)
    timer.start()
    try:
        while not condition():
            assert not expired.is_set(), "the condition never held"
    finally:
        timer.cancel()


def in_progress(simulator, calls):
    """Give the condition that so many requests are being answered."""
    return lambda: simulator.stats()["in_progress"] == calls
