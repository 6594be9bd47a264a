"""Callables of the user's own, asked in the midst of calls: detectors, approvers, and classes of output."""

from __future__ import annotations

import threading
import weakref
from asyncio import CancelledError
from collections.abc import Coroutine, Mapping
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, replace
from inspect import isawaitable, iscoroutinefunction, signature
from itertools import count
from typing import TYPE_CHECKING, TypeVar, cast

from iron_sdk import _threads
from iron_sdk._asking import Asking, Called
from iron_sdk._errors import ConfigError
from iron_sdk._output import Refusal

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable

    from iron_sdk._asking import Key
    from iron_sdk._caller import CallerKey
    from iron_sdk._iron import Port, Question
    from iron_sdk._output import Output

T = TypeVar("T")

# Callables inside of which this code runs.
_inside: ContextVar[frozenset[Key]] = ContextVar("iron_sdk_inside", default=frozenset())

_numbers = count(1)
# A caller lives as long as somebody waits for its call; the core knows it by a number.
_callers: weakref.WeakValueDictionary[int, Caller] = weakref.WeakValueDictionary()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What a client was given to call."""

    detectors: Mapping[str, Called]
    approve: Called | None

    def caller(self, approve: object, output: Output | None = None) -> Caller:
        """Give the caller of one call, which is made in this context.

        `approve` stands before that of the client; the call's output is to be `output`.

        Raises:
            ConfigError: It cannot be called.
        """
        return Caller(self if approve is None else replace(self, approve=_approver(approve)), output)


NOTHING = Callbacks({}, None)
"""What a client has that was given nothing to call."""


def accept(detectors: object, approve: object) -> Callbacks:
    """Check what a client is given to call.

    Raises:
        ConfigError: Something of it cannot be called.
    """
    return Callbacks(_detectors(detectors), None if approve is None else _approver(approve))


def _detectors(detectors: object) -> dict[str, Called]:
    if detectors is None:
        return {}
    if not isinstance(detectors, Mapping):
        kind = type(detectors).__name__
        raise ConfigError(f'detectors is of type {kind}; give a mapping such as {{"toxicity": a_function}}')
    given = cast("Mapping[object, object]", detectors)
    accepted: dict[str, Called] = {}
    for name, function in given.items():
        if not isinstance(name, str):
            raise ConfigError(f"detectors has a name of type {type(name).__name__}; give text")
        called = _called(f"detectors[{name!r}]", function)
        try:
            takes_direction = "direction" in signature(called.function).parameters
        except (TypeError, ValueError):
            # Some builtins have no signature.
            takes_direction = False
        accepted[name] = replace(called, takes_direction=takes_direction)
    return accepted


def _approver(function: object) -> Called:
    return _called("approve", function)


def _called(place: str, function: object) -> Called:
    if not callable(function):
        raise ConfigError(f"{place} is of type {type(function).__name__}; give a function, async or not")
    is_async = iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)
    return Called(function, is_async)


class Caller:
    """One call, to the callables that it asks: they see the context in which it was made."""

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "_context",
        "_number",
        "_output",
        "_port",
        "_raised",
        "_running",
    )

    def __init__(self, callbacks: Callbacks, output: Output | None) -> None:
        self._callbacks = callbacks
        self._output = output
        self._context = copy_context()
        self._number = next(_numbers)
        self._port: Port | None = None
        self._raised: dict[int, BaseException] = {}
        self._running: dict[int, Task[None]] = {}
        with _lock:
            _callers[self._number] = self

    def by(self, find_port: Callable[[], Port]) -> CallerKey:
        """Be asked on the loop of a port from now on; what the core knows the caller by."""
        self._port = port = find_port()
        return port, self._number, self._callbacks.approve is not None, self._output is not None

    def by_thread(self) -> CallerKey:
        """Be asked on a loop of our own."""
        return self.by(_threads.blocking_port)

    def explain(self, error: BaseException) -> None:
        """Make what a callable raised the cause of the error that came of it."""
        raised = self._raised.get(getattr(error.__cause__, "question", -1))
        if raised is not None:
            error.__cause__ = raised

    def ask(self, question: Question) -> None:
        """Put a question to its callable, on the thread of the port's loop."""
        asking = Asking.of(self._callbacks, self._output, question)
        if asking.key in self._context.get(_inside, frozenset()):
            other = "another class" if asking.key[0] == "output" else "a client without it"
            wrong = f"a callable cannot make a call that asks it again: give that call {other}"
            self.fail(asking, RuntimeError(wrong))
        elif asking.called.is_async:
            self.start(asking, None)
        else:
            _threads.submit(_Blocking(self, asking))

    def give_up(self, number: int) -> None:
        """Cancel what nobody waits for any more; a function that blocks its thread goes on, for nothing."""
        task = self._running.pop(number, None)
        if task is not None:
            task.cancel()

    def start(self, asking: Asking, begun: object) -> None:
        """Run a callable as a task of the loop; `begun` is what it gave to be awaited, if it was called."""
        if self._port is None or not asking.question.is_open():
            if isinstance(begun, Coroutine):
                begun.close()
            return
        number = asking.question.number()
        loop = self._port.loop
        task = self.context(asking.key, lambda: loop.create_task(self._wait(asking, begun)))
        self._running[number] = task
        task.add_done_callback(lambda done: self._end(number, done))

    def start_soon(self, asking: Asking, begun: object) -> None:
        """Do that from another thread."""
        if self._port is not None:
            self._port.loop.call_soon_threadsafe(self.start, asking, begun)

    def context(self, key: Key, function: Callable[[], T]) -> T:
        """Call a function in a copy of the caller's context, which no other thread has entered."""
        context = self._context.copy()
        context.run(_inside.set, context.get(_inside, frozenset()) | {key})
        return context.run(function)

    def answer(self, asking: Asking, value: object) -> None:
        """Answer with what a callable gave, and keep what it raised, if that is what it gave."""
        if isinstance(value, Refusal):
            self._raised[asking.question.number()] = value.raised
        asking.answer(value)

    def fail(self, asking: Asking, error: BaseException) -> None:
        """Let the call fail for what its callable did."""
        if asking.question.is_open():
            self._raised[asking.question.number()] = error
            asking.question.failed(type(error).__name__)

    async def _wait(self, asking: Asking, begun: object) -> None:
        try:
            value = asking.call() if begun is None else begun
            self.answer(asking, await value if isawaitable(value) else value)
        except BaseException as error:
            self.fail(asking, error)
            # What ends a task or the program is not kept from it.
            if isinstance(error, (CancelledError, KeyboardInterrupt, SystemExit)):
                raise

    def _end(self, number: int, task: Task[None]) -> None:
        self._running.pop(number, None)
        if not task.cancelled():
            # Without this, asyncio would log what ends the program as an exception that nobody has looked at.
            task.exception()


@dataclass(frozen=True, slots=True)
class _Blocking:
    """A job for a thread: a function that may block."""

    caller: Caller
    asking: Asking

    def __call__(self) -> None:
        caller, asking = self.caller, self.asking
        if not asking.question.is_open():
            return
        try:
            value = caller.context(asking.key, asking.call)
            if isawaitable(value):
                # It is asynchronous after all, which only calling it could tell.
                caller.start_soon(asking, value)
            else:
                caller.answer(asking, value)
        except BaseException as error:  # noqa: BLE001 - whatever it raises, the call fails for it, and not the thread
            caller.fail(asking, error)


def ask(number: int, question: Question) -> None:
    """Put a question to the callables of a caller; the core calls this on its loop's thread.

    Without an answer the question fails when it is dropped, as it is where nobody waits any more.
    """
    caller = _callers.get(number)
    if caller is not None:
        caller.ask(question)


def give_up(number: int, question: int) -> None:
    """Tell a caller that nobody waits for the answer any more; the core calls this on its loop's thread."""
    caller = _callers.get(number)
    if caller is not None:
        caller.give_up(question)
