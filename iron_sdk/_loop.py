"""The port of the running event loop, through which finished work comes back."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from iron_sdk._errors import ConfigError
from iron_sdk._iron import Port

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

# The loop alone keeps its port alive, by watching the port's descriptor: closing the loop lets go of it.
_ports: weakref.WeakKeyDictionary[AbstractEventLoop, weakref.ref[Port]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def _no_loop() -> AbstractEventLoop:
    raise RuntimeError("no running event loop")


# That of asyncio, once a loop has run: importing asyncio takes longer than all of iron_sdk.
_running_loop = _no_loop


def _no_port() -> None:
    return None


class _Recent(threading.local):
    """The port that this thread used last."""

    def __init__(self) -> None:
        self.port: Callable[[], Port | None] = _no_port


_recent = _Recent()


def current_port() -> Port:
    """Find the port of the running event loop, or make it.

    Raises:
        RuntimeError: No event loop is running.
        ConfigError: The event loop cannot watch a descriptor.
    """
    port = _recent.port()
    if port is not None and port.loop is _running_loop():
        return port
    return _find()


def _find() -> Port:
    global _running_loop  # noqa: PLW0603 - bound once
    from asyncio import get_running_loop

    _running_loop = get_running_loop
    try:
        loop = get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "no running event loop: await this in a coroutine that asyncio.run runs; "
            "code without an event loop uses iron.SyncClient"
        ) from None
    with _lock:
        reference = _ports.get(loop)
        port = reference() if reference is not None else None
        if port is None:
            port = _open(loop)
            _ports[loop] = weakref.ref(port)
    _recent.port = weakref.ref(port)
    return port


def _open(loop: AbstractEventLoop) -> Port:
    port = Port(loop)
    try:
        loop.add_reader(port.fileno(), port.drain)
    except NotImplementedError:
        kind = type(loop).__name__
        raise ConfigError(
            f"the event loop {kind} cannot watch descriptors: use asyncio's selector loop or uvloop"
        ) from None
    return port
