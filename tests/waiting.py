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
