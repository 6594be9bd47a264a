"""The blocking client, for code without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from iron_sdk._client import ClientBase, take_format
from iron_sdk._embeddings import Embeddings
from iron_sdk._errors import IronError
from iron_sdk._logging import note_level
from iron_sdk._override import override
from iron_sdk._scope import current_scope
from iron_sdk._stream import StreamBase
from iron_sdk._types import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from iron_sdk._iron import Chunk
    from iron_sdk._options import ChatOptions, EmbedOptions

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class SyncClient(ClientBase):
    """Makes governed calls from code without an event loop, in any thread.

    Ctrl-C interrupts a call and gives it up. Arguments are those of `Client`.

    Examples:
        >>> with iron.SyncClient(budget="5.00") as client:
        ...     print(client.chat("Hello", model="openai/gpt-6-luna").text)
    """

    __slots__ = ()

    @overload
    def chat(
        self, messages: str | Sequence[object], *, response_format: type[T], **options: Unpack[ChatOptions]
    ) -> Reply[T]: ...
    @overload
    def chat(
        self,
        messages: str | Sequence[object],
        *,
        response_format: Mapping[str, Any] | None = None,
        **options: Unpack[ChatOptions],
    ) -> Reply[None]: ...
    def chat(
        self, messages: str | Sequence[object], *, response_format: object = None, **options: Any
    ) -> Reply[Any]:
        """Ask for a chat completion and wait for it.

        Args:
            messages: As for `Client.chat`.
            response_format: As for `Client.chat`.
            **options: As for `Client.chat`.

        Returns:
            The settled reply.

        Raises:
            IronError: As for `Client.chat`.

        Examples:
            >>> client.chat("Hello", model="openai/gpt-6-luna").text
        """
        output = take_format(response_format, options)
        note_level()
        caller = self._caller(options.pop("approve", None), output)
        try:
            native = self._native.chat_blocking(messages, options, current_scope(), caller.by_thread())
        except IronError as error:
            caller.explain(error)
            raise
        return Reply(native, output)

    @overload
    def stream(
        self, messages: str | Sequence[object], *, response_format: type[T], **options: Unpack[ChatOptions]
    ) -> SyncChatStream[T]: ...
    @overload
    def stream(
        self,
        messages: str | Sequence[object],
        *,
        response_format: Mapping[str, Any] | None = None,
        **options: Unpack[ChatOptions],
    ) -> SyncChatStream[None]: ...
    def stream(
        self, messages: str | Sequence[object], *, response_format: object = None, **options: Any
    ) -> SyncChatStream[Any]:
        """Ask for a streamed chat completion.

        Args:
            messages: As for `Client.chat`.
            response_format: As for `Client.stream`.
            **options: As for `Client.chat`.

        Returns:
            The stream, which sends its request when it is entered or iterated over.

        Raises:
            ConfigError: An argument is wrong. What `chat` raises beyond that is raised by the stream.

        Examples:
            >>> for chunk in client.stream("Hello", model="openai/gpt-6-luna"):
            ...     print(chunk.text, end="")
        """
        output = take_format(response_format, options)
        note_level()
        caller = self._caller(options.pop("approve", None))
        return SyncChatStream(self._native.stream(messages, options, current_scope()), output, caller)

    def embed(self, input: str | Sequence[str], **options: Unpack[EmbedOptions]) -> Embeddings:  # noqa: A002 - OpenAI's name
        """Ask for embeddings and wait for them.

        Args:
            input: A text, or a list of texts.
            **options: As for `Client.embed`.

        Returns:
            A vector for each text, in the same order.

        Raises:
            IronError: As for `Client.chat`.

        Examples:
            >>> client.embed("a", model="openai/text-embedding-3-small")[0]
        """
        note_level()
        caller = self._caller()
        try:
            native = self._native.embed_blocking(input, options, current_scope(), caller.by_thread())
        except IronError as error:
            caller.explain(error)
            raise
        return Embeddings(native)

    def close(self) -> None:
        """Refuse new calls, and wait until those in flight in other threads have ended."""
        self._native.close()
        self._native.drained_blocking()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            # An error is not held up by calls of other threads.
            self._native.close()


class SyncChatStream(StreamBase[T_co]):
    """A streamed reply for code without an event loop, begun by `with` or by the first chunk asked for.

    It behaves as `ChatStream` does.

    Examples:
        >>> with client.stream("Hello", model="openai/gpt-6-luna") as stream:
        ...     for chunk in stream:
        ...         print(chunk.text, end="")
        ...     print(stream.reply().cost)
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        while not self._is_open():
            self._native.wait_blocking(for_opening=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        chunks = self._chunks
        while not chunks:
            news = self._advance()
            if news is None:
                self._start()
                self._native.wait_blocking(for_opening=False)
            elif not news:
                raise StopIteration
        return chunks.popleft()

    if not TYPE_CHECKING:
        # Hidden from type checkers, who know that it is not there.
        def __aiter__(self) -> NoReturn:
            raise TypeError("this stream is of a SyncClient: use `for`, or iron.Client for `async for`")

    def reply(self) -> Reply[T_co]:
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
                self._native.wait_blocking(for_opening=False)
            elif not news:
                break
        return self._finish()

    def close(self) -> None:
        """Give up the rest; without effect after the end."""
        self._close()

    @override
    def _start(self) -> None:
        self._native.start(self._caller.by_thread())
