"""The client: one configuration, one pool of connections, one budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from iron_sdk._budget import Budget, draw
from iron_sdk._caller import NOBODY
from iron_sdk._config import open_client
from iron_sdk._embeddings import Embeddings
from iron_sdk._logging import note_level
from iron_sdk._loop import current_port
from iron_sdk._output import Output
from iron_sdk._override import override
from iron_sdk._schema import response_format as lower_format
from iron_sdk._scope import current_scope
from iron_sdk._stream import ChatStream
from iron_sdk._types import Estimate, Reply

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from iron_sdk import _iron
    from iron_sdk._answers import Approver, Detector
    from iron_sdk._callbacks import Callbacks
    from iron_sdk._caller import CallerLike
    from iron_sdk._events import Events
    from iron_sdk._options import ChatOptions, EmbedOptions
    from iron_sdk._stats import Stats
    from iron_sdk._types import Money

T = TypeVar("T")


class ClientBase:
    """What both kinds of client have: how they are opened, and what they can be asked."""

    __slots__ = ("_callbacks", "_native")

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        profile: str | None = None,
        budget: Money | None = None,
        timeout: float | None = None,
        model: str | None = None,
        agent: str | None = None,
        tags: Sequence[str] | None = None,
        max_attempts: int | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        detectors: Mapping[str, Detector] | None = None,
        approve: Approver | None = None,
    ) -> None:
        self._callbacks: Callbacks | None = None
        if detectors is not None or approve is not None:
            from iron_sdk._callbacks import accept

            self._callbacks = accept(detectors, approve)
        self._native: _iron.Client = open_client(
            config,
            profile=profile,
            budget=budget,
            timeout=timeout,
            model=model,
            agent=agent,
            tags=tags,
            max_attempts=max_attempts,
            base_url=base_url,
            api_key=api_key,
            detectors=[] if self._callbacks is None else list(self._callbacks.detectors),
        )

    def _caller(self, approve: object = None, output: Output | None = None) -> CallerLike:
        if approve is None and output is None:
            return NOBODY if self._callbacks is None else self._callbacks.caller(None)
        from iron_sdk._callbacks import NOTHING

        return (self._callbacks or NOTHING).caller(approve, output)

    @property
    def budget(self) -> Budget | None:
        """The budget that holds all calls of this client; None if it has no limit."""
        native = self._native.budget()
        return None if native is None else Budget(native)

    @property
    def in_flight(self) -> int:
        """Calls that have begun and not ended, open streams included."""
        return self._native.in_flight()

    def estimate(
        self,
        messages: str | Sequence[object],
        *,
        response_format: type | Mapping[str, Any] | None = None,
        **options: Unpack[ChatOptions],
    ) -> Estimate:
        """Tell what a chat would reserve, were it made now.

        Nothing is sent, and nothing is held. It is a plain function on both clients: the bound is a matter of
        lengths, so that a prompt of a megabyte takes a fraction of a millisecond.

        Args:
            messages: As for `chat`.
            response_format: As for `chat`: its schema is part of the input.
            **options: As for `chat`.

        Returns:
            The bounds of cost and tokens.

        Raises:
            ConfigError: An argument is wrong, the model is unknown, or nothing bounds what it costs.

        Examples:
            >>> client.estimate("Hello", model="openai/gpt-6-luna", max_tokens=100).cost
        """
        from decimal import Decimal

        asked = cast("dict[str, Any]", options)
        take_format(response_format, asked)
        # Nobody is asked before there is a reply.
        asked.pop("approve", None)
        cost, least, input_tokens, output_tokens, upstream, priced = self._native.estimate(messages, asked)
        return Estimate(Decimal(cost), Decimal(least), input_tokens, output_tokens, upstream, priced)

    def stats(self) -> Stats:
        """Read the counters of all calls so far.

        Returns:
            The counters at this moment; reading them slows no call down.

        Examples:
            >>> stats = client.stats()
            >>> stats.answered, stats.retries, stats.cost
        """
        from iron_sdk._stats import read

        return read(self._native.stats())

    def events(self) -> Events:
        """Read along what happens to the calls of this client, from now on.

        Leases of budgets in a ledger file are the process's: `iron.events` tells of them.

        Returns:
            An iterator for `async for`, or for `for` in a thread of its own. It ends once the client is
            closed and its last call has ended, and when it is closed itself: by `close`, or by leaving its
            `with` or `async with` block.

        Examples:
            >>> async with client.events() as events:
            ...     async for event in events:
            ...         print(event)
        """
        from iron_sdk._events import Events

        return Events(self._native.events())

    @override
    def __repr__(self) -> str:
        budget = self.budget
        money = "" if budget is None else f", {budget.spent} spent of {budget.limit} USD"
        return f"<{type(self).__name__}: {self.in_flight} in flight{money}>"

    def _repr_html_(self) -> str:
        from iron_sdk._stats import tabulate

        native = self._native.budget()
        drawn = "" if native is None else draw(native)
        return f"{drawn}{tabulate(self.stats())}"


class Client(ClientBase):
    """Makes governed calls from asyncio code.

    One client serves any number of tasks, threads and event loops. Settings come from `config`, then from the
    environment (`IRON_*`, `OPENAI_API_KEY`), then from the other arguments, later ones above earlier ones.

    Args:
        config: Path of an `iron.toml` or `pyproject.toml`, or a mapping of the same shape. Default: the file
            that `IRON_CONFIG` names, or else the nearest `iron.toml`, or `pyproject.toml` with `[tool.iron]`,
            from the working directory up to the root of its repository.
        profile: The profile of the configuration whose settings are laid over the others. Default: the one
            that `IRON_PROFILE` names, if any.
        budget: The most that all calls of the client may cost together, in US dollars. Default: no limit.
        timeout: Seconds for a whole call, waiting and retries included. Default: 600.
        model: The model of calls that name none: `provider/model`, or an alias from the configuration.
        agent: The agent that calls are from, unless their run names another. Default: none.
        tags: What else calls are from, beside the tags of their run. Default: none.
        max_attempts: Requests sent to one upstream for one call, the first included. Default: 3.
        base_url: Where the API of the provider `openai` begins. Default: OpenAI's.
        api_key: The key of the provider `openai`. Default: `OPENAI_API_KEY`.
        detectors: Detectors of your own, by the names that rules call them (`detector:NAME`). Each is a
            function, async or not, that takes a text, and where it goes if it has an argument `direction`. It
            gives None, a bool, a score from 0 to 1 of the whole text, or a list of `iron.Match`. Default:
            none.
        approve: Decides about calls of tools that `tools.require_approval` names: a function, async or not,
            that takes an `iron.ApprovalRequest` and gives True, False, or the reason why not. Default: such
            calls are refused.

    Raises:
        ConfigError: A setting is unknown or wrong; the message names it.

    Examples:
        >>> async def main() -> None:
        ...     async with iron.Client(budget="5.00") as client:
        ...         reply = await client.chat("Hello", model="openai/gpt-6-luna")
        ...         print(reply.text, reply.cost)
    """

    __slots__ = ()

    @overload
    async def chat(
        self, messages: str | Sequence[object], *, response_format: type[T], **options: Unpack[ChatOptions]
    ) -> Reply[T]: ...
    @overload
    async def chat(
        self,
        messages: str | Sequence[object],
        *,
        response_format: Mapping[str, Any] | None = None,
        **options: Unpack[ChatOptions],
    ) -> Reply[None]: ...
    async def chat(
        self, messages: str | Sequence[object], *, response_format: object = None, **options: Any
    ) -> Reply[Any]:
        """Ask for a chat completion.

        Args:
            messages: What the user says, or a list of messages as OpenAI shapes them: dicts with `role` and
                `content`, or message objects of other libraries.
            response_format: A Pydantic model, dataclass or TypedDict, which judges the reply, and of which
                `reply.parsed` is then an instance; or a mapping as OpenAI shapes it.
            **options: `model`, `timeout` (seconds), `max_cost` (US dollars), `max_attempts`, `policy`, and
                `approve`, which stands before that of the client; and
                the fields of the request by OpenAI's names (`max_tokens`, `temperature`, `tools`, `n`, ...).
                A keyword that is not known passes through to the provider. None means the same as leaving
                it out.

        Returns:
            The settled reply.

        Raises:
            ConfigError: An argument is wrong, or the model is unknown.
            BudgetExceededError: A budget cannot pay for the call; nothing was sent.
            RateLimitError: A rate limit refused the call.
            UpstreamError: The provider did not give a reply, or none that is what `response_format` asks for.
            PolicyError: A rule refuses a text or a tool, a call of a tool was not approved, or a detector of
                your own did not judge a text.
            ClosedError: The client is closed.

        Examples:
            >>> reply = await client.chat("Hello", model="openai/gpt-6-luna", max_tokens=100)
            >>> reply.text, reply.cost
        """
        output = take_format(response_format, options)
        port = current_port()
        future = port.loop.create_future()
        note_level()
        caller = self._caller(options.pop("approve", None), output)
        slot = self._native.chat(port, future, messages, options, current_scope(), caller.by(current_port))
        try:
            return Reply(await future, output)
        except BaseException as error:
            # Cancelled, or the coroutine is thrown away; without effect after the call's own end.
            port.cancel(slot)
            caller.explain(error)
            raise

    @overload
    def stream(
        self, messages: str | Sequence[object], *, response_format: type[T], **options: Unpack[ChatOptions]
    ) -> ChatStream[T]: ...
    @overload
    def stream(
        self,
        messages: str | Sequence[object],
        *,
        response_format: Mapping[str, Any] | None = None,
        **options: Unpack[ChatOptions],
    ) -> ChatStream[None]: ...
    def stream(
        self, messages: str | Sequence[object], *, response_format: object = None, **options: Any
    ) -> ChatStream[Any]:
        """Ask for a streamed chat completion.

        Args:
            messages: As for `chat`.
            response_format: As for `chat`; `(await stream.reply()).parsed` is then an instance.
            **options: As for `chat`.

        Returns:
            The stream, which sends its request when it is entered or iterated over. It is held to the budgets
            that are in force at this call.

        Raises:
            ConfigError: An argument is wrong. What `chat` raises beyond that is raised by the stream.

        Examples:
            >>> async for chunk in client.stream("Hello", model="openai/gpt-6-luna"):
            ...     print(chunk.text, end="")
        """
        output = take_format(response_format, options)
        note_level()
        caller = self._caller(options.pop("approve", None))
        return ChatStream(self._native.stream(messages, options, current_scope()), output, caller)

    async def embed(self, input: str | Sequence[str], **options: Unpack[EmbedOptions]) -> Embeddings:  # noqa: A002 - OpenAI's name
        """Ask for embeddings.

        Args:
            input: A text, or a list of texts.
            **options: `model`, `timeout` (seconds), `max_cost` (US dollars), `max_attempts`, `dimensions`,
                and what else the provider takes.

        Returns:
            A vector for each text, in the same order.

        Raises:
            IronError: As for `chat`.

        Examples:
            >>> vectors = await client.embed(["a", "b"], model="openai/text-embedding-3-small")
            >>> len(vectors)
            2
        """
        port = current_port()
        future = port.loop.create_future()
        note_level()
        caller = self._caller()
        slot = self._native.embed(port, future, input, options, current_scope(), caller.by(current_port))
        try:
            return Embeddings(await future)
        except BaseException as error:
            port.cancel(slot)
            caller.explain(error)
            raise

    async def aclose(self) -> None:
        """Refuse new calls, and wait until those in flight have ended.

        Each ends by its timeout at the latest. Cancelling stops the wait alone.
        """
        self._native.close()
        await self._native.drained(current_port())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.aclose()
        else:
            # An error is not held up by calls of other tasks.
            self._native.close()


def take_format(given: object, options: dict[str, Any]) -> Output | None:
    """Put the lowered `response_format` among the options, and give the output's class, if it has one."""
    if given is None:
        return None
    lowered = lower_format(given)
    options["response_format"] = lowered.field
    return None if lowered.parse is None else Output(lowered.parse, lowered.names)
