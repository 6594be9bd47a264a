"""Streamed replies: chunks as they come, and the assembled reply at the end."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from iron_sdk._errors import ClosedError, IronError
from iron_sdk._loop import current_port
from iron_sdk._override import override
from iron_sdk._types import Reply

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from iron_sdk import _iron
    from iron_sdk._caller import CallerLike
    from iron_sdk._iron import Chunk
    from iron_sdk._output import Output

T_co = TypeVar("T_co", covariant=True)


class StreamBase(Generic[T_co]):
    """What streams are in asyncio code and in code without an event loop."""

    __slots__ = ("_caller", "_chunks", "_closed", "_failure", "_native", "_output", "_reply")

    def __init__(self, native: _iron.Stream, output: Output | None, caller: CallerLike) -> None:
        self._native = native
        self._caller = caller
        self._output = output
        # Chunks that have crossed from the native buffer and not been asked for yet.
        self._chunks: deque[Chunk] = deque()
        self._failure: IronError | None = None
        self._reply: Reply[T_co] | None = None
        self._closed = False

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.request_id}>"

    @property
    def request_id(self) -> str:
        """The call's id, known before anything is sent."""
        return self._native.request_id()

    def _advance(self) -> bool | None:
        """Take what has arrived: True for chunks, False at the end, None while there is nothing."""
        if self._failure is not None:
            raise self._failure
        try:
            batch = self._native.take()
        except IronError as error:
            self._failure = self._explain(error)
            raise self._failure from error.__cause__
        if batch is None:
            return None
        self._chunks.extend(batch)
        return bool(batch)

    def _is_open(self) -> bool:
        self._start()
        try:
            return self._native.is_open()
        except IronError as error:
            self._failure = self._explain(error)
            raise self._failure from error.__cause__

    @abstractmethod
    def _start(self) -> None:
        """Send the request, unless it was sent before."""

    def _explain(self, error: IronError) -> IronError:
        self._caller.explain(error)
        if self._closed and isinstance(error, ClosedError):
            return ClosedError("this stream was closed before its end", request_id=error.request_id)
        return error

    def _close(self) -> None:
        self._closed = True
        self._native.close()

    def _finish(self) -> Reply[T_co]:
        if self._reply is None:
            native = self._native.reply()
            if native is None:
                raise ClosedError("this stream was closed before its end", request_id=self.request_id)
            self._reply = Reply(native, self._output)
        return self._reply


class ChatStream(StreamBase[T_co]):
    """A streamed reply, begun by `async with` or by the first chunk asked for.

    Iterate over it for the chunks; chunks that have already arrived are given without suspending. Leaving the
    `async with` block, or dropping the stream, before the end gives up the rest: the call is settled at what
    the provider may bill. A stream that breaks off raises; only a complete one ends.

    Examples:
        >>> async def main() -> None:
        ...     async with iron.stream("Hello", model="openai/gpt-6-luna") as stream:
        ...         async for chunk in stream:
        ...             print(chunk.text, end="")
        ...         reply = await stream.reply()
        ...         print(reply.cost)
    """

    __slots__ = ()

    async def __aenter__(self) -> Self:
        while not self._is_open():
            await self._wait(for_opening=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        chunks = self._chunks
        while not chunks:
            news = self._advance()
            if news is None:
                self._start()
                await self._wait(for_opening=False)
            elif not news:
                raise StopAsyncIteration
        return chunks.popleft()

    if not TYPE_CHECKING:
        # Hidden from type checkers, who know that neither is there.
        def __iter__(self) -> NoReturn:
            raise TypeError("this stream is asynchronous: use `async for`, or a SyncClient and `for`")

        def __await__(self) -> NoReturn:
            raise TypeError("a stream is not awaited: use `async for`, or `await stream.reply()`")

    async def reply(self) -> Reply[T_co]:
        """Read what is left and give the assembled reply, in the form of a plain call's.

        Returns:
            The reply, with usage, cost and tool calls.

        Raises:
            IronError: The stream broke off, or was closed before its end.
        """
        while self._reply is None:
            self._chunks.clear()
            self._start()
            news = self._advance()
            if news is None:
                await self._wait(for_opening=False)
            elif not news:
                break
        return self._finish()

    async def aclose(self) -> None:
        """Give up the rest; without effect after the end."""
        self._close()

    @override
    def _start(self) -> None:
        self._native.start(self._caller.by(current_port))

    async def _wait(self, *, for_opening: bool) -> None:
        port = current_port()
        future = port.loop.create_future()
        slot = self._native.wait(port, future, for_opening)
        try:
            await future
        except BaseException:
            # The stream goes on; chunks are taken after the wait, so that none is lost.
            port.cancel(slot)
            raise
