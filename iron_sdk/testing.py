"""A simulator of model providers on loopback, for tests and demonstrations without a key or a cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from iron_sdk import _iron
from iron_sdk._client import Client
from iron_sdk._errors import ClosedError
from iron_sdk._loop import current_port
from iron_sdk._sync import SyncClient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from iron_sdk._options import ClientOptions, SimulatorOptions

__all__ = ["Simulator"]

_QUIET_SECONDS = 10.0


class Simulator:
    """Speaks OpenAI's and Anthropic's wire formats on loopback: scripted replies, exact usage, and faults.

    Without rules a chat is answered by `echo: ` and the text of the last user message. The same settings and
    the same sequence of requests give the same bytes. Entered with `with` or `async with`.

    Args:
        rules: What is done with the requests that match; the first that matches and is not used up decides.
            Dicts such as `{"when": {"text": "weather"}, "reply": {"text": "Sunny"}, "times": 2}` or
            `{"every": 10, "fault": {"kind": "status", "status": 429, "retry_after": 1}}`.
        **settings: `seed`, `latency_ms` (a number, or a pair to draw from), `tokens_per_second`,
            `tokens_per_chunk`, `api_key` (required of clients), `models`, `any_model`, `record_limit`, ...

    Raises:
        ConfigError: On entering, if a setting or rule is unknown or wrong.

    Examples:
        >>> from iron_sdk.testing import Simulator
        >>> with Simulator(rules=[{"reply": {"text": "Hello to you"}}]) as simulator:
        ...     with simulator.sync_client() as client:
        ...         print(client.chat("Hello").text)
        Hello to you
    """

    def __init__(self, *, rules: Sequence[object] = (), **settings: Unpack[SimulatorOptions]) -> None:
        self._settings: dict[str, Any] = {**settings, "rules": list(rules)}
        self._native: _iron.Simulator | None = None

    def _running(self) -> _iron.Simulator:
        if self._native is None:
            raise ClosedError("the simulator is not running: enter it with `with` or `async with`")
        return self._native

    @property
    def url(self) -> str:
        """Where OpenAI's API begins: what a client takes as `base_url`."""
        return self._running().url()

    @property
    def anthropic_url(self) -> str:
        """Where Anthropic's API begins: what a client of Anthropic takes as `base_url`."""
        return self.url.removesuffix("/v1")

    def client(self, **options: Unpack[ClientOptions]) -> Client:
        """Open a client of this simulator.

        Args:
            **options: As for `Client`; `model` is `openai/gpt-6-luna` unless given. Models of
                `anthropic` reach the simulator too.

        Returns:
            A client that reads no configuration file.
        """
        return Client(self._config(), **self._options(options))

    def sync_client(self, **options: Unpack[ClientOptions]) -> SyncClient:
        """Open a blocking client of this simulator.

        Args:
            **options: As for `SyncClient`; `model` is `openai/gpt-6-luna` unless given. Models of
                `anthropic` reach the simulator too.

        Returns:
            A client that reads no configuration file.
        """
        return SyncClient(self._config(), **self._options(options))

    @property
    def _key(self) -> str:
        return self._settings.get("api_key") or "sk-simulated"

    def _config(self) -> dict[str, Any]:
        return {"providers": {"anthropic": {"base_url": self.anthropic_url, "api_key": self._key}}}

    def _options(self, options: ClientOptions) -> ClientOptions:
        return {"base_url": self.url, "api_key": self._key, "model": "openai/gpt-6-luna", **options}

    def stats(self) -> dict[str, Any]:
        """Count what was received, served and injected since the start or the last `reset`.

        Returns:
            `requests`, `served`, `chat_calls`, `streams_cut`, `input_tokens`, `output_tokens`, `faults`,
            `connections_open`, `in_progress`, `by_status`, `by_model` and others, by name.
        """
        return cast("dict[str, Any]", json.loads(self._running().stats()))

    def requests(self) -> list[dict[str, Any]]:
        """List the last requests, oldest first.

        Returns:
            A dict for each, with its method, path, headers, body and outcome.
        """
        return cast("list[dict[str, Any]]", json.loads(self._running().requests()))

    def set_rules(self, rules: Sequence[object]) -> None:
        """Put other rules in force, none of them used yet.

        Args:
            rules: As for the class.

        Raises:
            ConfigError: A rule is wrong; the rules in force stay.
        """
        self._running().set_rules(list(rules))

    def reset(self) -> None:
        """Zero the counters, forget the requests, and begin rules and sequence anew."""
        self._running().reset()

    def quiet(self, timeout: float = _QUIET_SECONDS) -> bool:
        """Block until no request is in progress, after which the counters hold all that was received.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether that came in time.
        """
        return self._running().quiet_blocking(round(timeout * 1000))

    async def aquiet(self, timeout: float = _QUIET_SECONDS) -> bool:
        """Wait until no request is in progress, as `quiet` does, without blocking the event loop.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether that came in time.
        """
        return await self._running().quiet(current_port(), round(timeout * 1000))

    def __enter__(self) -> Self:
        self._native = _iron.Simulator.start_blocking(self._settings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._native is not None:
            self._native.stop_blocking()

    async def __aenter__(self) -> Self:
        self._native = await _iron.Simulator.start(current_port(), self._settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._native is not None:
            await self._native.stop(current_port())
