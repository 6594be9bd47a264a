"""The verbs as functions, over a client made when the first of them is called."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar, overload

from iron_sdk._client import Client

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from typing_extensions import Unpack

    from iron_sdk._answers import Approver, Detector
    from iron_sdk._embeddings import Embeddings
    from iron_sdk._events import Events
    from iron_sdk._options import ChatOptions, EmbedOptions
    from iron_sdk._stats import Stats
    from iron_sdk._stream import ChatStream
    from iron_sdk._types import Estimate, Money, Reply

T = TypeVar("T")

_lock = threading.Lock()
_default: Client | None = None


def _client() -> Client:
    return _default or _open()


def _open() -> Client:
    global _default  # noqa: PLW0603 - the one default client of the process
    with _lock:
        if _default is None:
            _default = Client()
        return _default


def configure(
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
    """Replace the client behind `chat`, `stream` and `embed`.

    Calls in flight end under the old settings. Arguments are those of `Client`.

    Args:
        config: Path of an `iron.toml` or `pyproject.toml`, or a mapping of the same shape.
        profile: The profile of the configuration whose settings are laid over the others.
        budget: The most that all calls may cost together, in US dollars.
        timeout: Seconds for a whole call.
        model: The model of calls that name none.
        agent: The agent that calls are from, unless their run names another.
        tags: What else calls are from, beside the tags of their run.
        max_attempts: Requests sent to one upstream for one call.
        base_url: Where the API of the provider `openai` begins.
        api_key: The key of the provider `openai`.
        detectors: Detectors of your own by name.
        approve: Decides about calls of tools that need an approval.

    Raises:
        ConfigError: A setting is unknown or wrong; the client stays as it was.

    Examples:
        >>> iron.configure(budget="5.00", model="openai/gpt-6-luna")
    """
    client = Client(
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
        detectors=detectors,
        approve=approve,
    )
    global _default  # noqa: PLW0603 - the one default client of the process
    with _lock:
        _default = client


@overload
async def chat(
    messages: str | Sequence[object], *, response_format: type[T], **options: Unpack[ChatOptions]
) -> Reply[T]: ...
@overload
async def chat(
    messages: str | Sequence[object],
    *,
    response_format: Mapping[str, Any] | None = None,
    **options: Unpack[ChatOptions],
) -> Reply[None]: ...
async def chat(messages: str | Sequence[object], **options: Any) -> Reply[Any]:
    """Ask for a chat completion with the default client.

    Args:
        messages: What the user says, or a list of messages as OpenAI shapes them: dicts with `role` and
            `content`, or message objects of other libraries.
        **options: `response_format` (a Pydantic model, dataclass or TypedDict: `reply.parsed` is then an
            instance; or a mapping as OpenAI shapes it), `model`, `timeout` (seconds), `max_cost` (US
            dollars), `max_attempts`, `policy`; and the fields of the request by OpenAI's names (`max_tokens`,
            `temperature`, `tools`, `n`, ...). A keyword that is not known passes through to the provider.
            None means the same as leaving it out.

    Returns:
        The settled reply.

    Raises:
        ConfigError: An argument is wrong, or the model is unknown.
        BudgetExceededError: A budget cannot pay for the call; nothing was sent.
        RateLimitError: A rate limit refused the call.
        UpstreamError: The provider did not give a reply.

    Examples:
        >>> reply = await iron.chat("Hello", model="openai/gpt-6-luna")
        >>> reply.text, reply.cost
    """
    reply: Reply[Any] = await _client().chat(messages, **options)
    return reply


@overload
def stream(
    messages: str | Sequence[object], *, response_format: type[T], **options: Unpack[ChatOptions]
) -> ChatStream[T]: ...
@overload
def stream(
    messages: str | Sequence[object],
    *,
    response_format: Mapping[str, Any] | None = None,
    **options: Unpack[ChatOptions],
) -> ChatStream[None]: ...
def stream(messages: str | Sequence[object], **options: Any) -> ChatStream[Any]:
    """Ask for a streamed chat completion with the default client.

    Args:
        messages: What the user says, or a list of messages as OpenAI shapes them.
        **options: As for `Client.chat`.

    Returns:
        The stream, which sends its request when it is entered or iterated over.

    Raises:
        ConfigError: An argument is wrong. What `chat` raises beyond that is raised by the stream.

    Examples:
        >>> async for chunk in iron.stream("Hello", model="openai/gpt-6-luna"):
        ...     print(chunk.text, end="")
    """
    return _client().stream(messages, **options)


def events() -> Events:
    """Read along what happens to the calls of all clients in this process, from now on.

    `Client.events` reads along one client alone.

    Returns:
        An iterator for `async for`, or for `for` in a thread of its own. It ends when closed: by `close`,
        or by leaving its `with` or `async with` block.

    Examples:
        >>> async with iron.events() as events:
        ...     async for event in events:
        ...         if isinstance(event, iron.CallFinished):
        ...             print(event.upstream, event.cost)
    """
    from iron_sdk._events import Events
    from iron_sdk._iron import EventReader

    return Events(EventReader())


def estimate(
    messages: str | Sequence[object],
    *,
    response_format: type | Mapping[str, Any] | None = None,
    **options: Unpack[ChatOptions],
) -> Estimate:
    """Tell what a chat with the default client would reserve; nothing is sent, and nothing is held.

    Args:
        messages: What the user says, or a list of messages as OpenAI shapes them.
        response_format: As for `Client.chat`.
        **options: As for `Client.chat`.

    Returns:
        The bounds of cost and tokens.

    Raises:
        ConfigError: As for `Client.estimate`.

    Examples:
        >>> iron.estimate("Hello", model="openai/gpt-6-luna", max_tokens=100).cost
    """
    return _client().estimate(messages, response_format=response_format, **options)


def stats() -> Stats:
    """Read the counters of the default client's calls so far.

    Returns:
        As `Client.stats`.

    Raises:
        ConfigError: There was no call yet, and the configuration is wrong.

    Examples:
        >>> iron.stats().cost
    """
    return _client().stats()


async def embed(input: str | Sequence[str], **options: Unpack[EmbedOptions]) -> Embeddings:  # noqa: A002 - OpenAI's name
    """Ask for embeddings with the default client.

    Args:
        input: A text, or a list of texts.
        **options: As for `Client.embed`.

    Returns:
        A vector for each text, in the same order.

    Raises:
        IronError: As for `Client.chat`.

    Examples:
        >>> vectors = await iron.embed(["a", "b"], model="openai/text-embedding-3-small")
    """
    return await _client().embed(input, **options)
