"""The providers of the demo: simulators on loopback, how each misbehaves, and what each charges."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from iron_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_MILLION = 1_000_000
# Three times the slowest honest reply below, so that a busy machine makes no timeouts of its own.
_FIRST_BYTE_MS = 1_000
# Also for waiting until calls in flight give back what they hold of a budget.
_TOTAL_MS = 4_000

# The prompt that is answered by a call of both tools, side by side.
TOOL_PROMPT = "Use the tools: "
TOOLS = ("population", "area")

_REPLIES: list[dict[str, Any]] = [
    {"when": {"text": TOOL_PROMPT}, "reply": {"tool_calls": [{"name": name} for name in TOOLS]}},
    {"when": {"stream": True}, "reply": {"output_tokens": 96}},
    {"reply": {"output_tokens": 64, "cached_tokens": 16}},
]


class Provider(NamedTuple):
    """One simulated provider."""

    name: str
    model: str
    character: str
    """What it does wrong, for the opening lines."""
    latency_ms: tuple[int, int]
    misdeeds: list[dict[str, Any]]
    """Rules that come before the replies."""
    input_usd: Decimal
    """Per million tokens, as are the next two."""
    cached_input_usd: Decimal
    output_usd: Decimal

    @property
    def upstream(self) -> str:
        """The name that routes use."""
        return f"{self.name}/{self.model}"


PROVIDERS = (
    Provider(
        name="steady",
        model="oak",
        character="answers; one request in ten gets a 429 with Retry-After",
        latency_ms=(40, 160),
        misdeeds=[{"probability": 0.1, "fault": {"kind": "status", "status": 429, "retry_after": "0.05"}}],
        input_usd=Decimal("2.50"),
        cached_input_usd=Decimal("0.25"),
        output_usd=Decimal("15.00"),
    ),
    Provider(
        name="slow",
        model="elm",
        character="takes its time; one request in seven stalls past the timeout",
        latency_ms=(80, 240),
        misdeeds=[{"probability": 0.15, "fault": {"kind": "stall", "at": "before_headers"}}],
        input_usd=Decimal("1.25"),
        cached_input_usd=Decimal("0.125"),
        output_usd=Decimal("10.00"),
    ),
    Provider(
        name="flaky",
        model="ash",
        character="cheap; one request in four fails with 500, one in seven is reset",
        latency_ms=(30, 120),
        misdeeds=[
            {"probability": 0.25, "fault": {"kind": "status", "status": 500}},
            {"probability": 0.15, "fault": {"kind": "reset", "at": "before_headers"}},
        ],
        input_usd=Decimal("1.00"),
        cached_input_usd=Decimal("0.10"),
        output_usd=Decimal("7.50"),
    ),
)
STEADY, SLOW, FLAKY = PROVIDERS

# Aliases that the agents ask for, with the upstreams in the order to try them.
ROUTES = {"sure": (STEADY,), "deep": (SLOW, STEADY), "cheap": (FLAKY, STEADY)}


class Market:
    """All providers, listening."""

    def __init__(self, running: list[tuple[Provider, Simulator]], concurrency: int) -> None:
        self._running = running
        self._concurrency = concurrency

    @classmethod
    @asynccontextmanager
    async def open(cls, seed: int, concurrency: int) -> AsyncGenerator[Market, None]:
        """Start every provider, and stop them at the end.

        Args:
            seed: Seed of what they draw.
            concurrency: Most requests in flight at once.

        Yields:
            The providers, listening.
        """
        async with AsyncExitStack() as stack:
            running: list[tuple[Provider, Simulator]] = []
            for provider in PROVIDERS:
                simulator = Simulator(
                    rules=[*provider.misdeeds, *_REPLIES],
                    seed=seed + len(running),
                    latency_ms=provider.latency_ms,
                    tokens_per_second=320,
                    tokens_per_chunk=4,
                    record_limit=0,
                )
                running.append((provider, await stack.enter_async_context(simulator)))
            yield cls(running, concurrency)

    def config(self) -> dict[str, Any]:
        """Write the configuration of a client of all providers."""
        return {
            "default_model": "sure",
            "limits": {"concurrency": self._concurrency},
            "timeouts": {"ttft_ms": _FIRST_BYTE_MS, "total_ms": _TOTAL_MS},
            "retry": {"max_attempts": 4, "initial_ms": 20, "max_ms": 200},
            "providers": {p.name: {"base_url": s.url, "api_key": "simulated"} for p, s in self._running},
            "models": {alias: {"upstreams": [p.upstream for p in route]} for alias, route in ROUTES.items()},
            "prices": {
                p.upstream: {
                    "input_usd": str(p.input_usd),
                    "cached_input_usd": str(p.cached_input_usd),
                    "output_usd": str(p.output_usd),
                    "max_output_tokens": 1_000,
                }
                for p in PROVIDERS
            },
        }

    async def quiet(self) -> None:
        """Wait until no request is in progress, so that every one is counted."""
        for _, simulator in self._running:
            await simulator.aquiet()

    def bills(self) -> dict[str, Decimal]:
        """Price what each provider counted itself as served; apart from the runtime's own arithmetic."""
        return {provider.name: _bill(provider, simulator.stats()) for provider, simulator in self._running}

    def faults(self) -> Counter[str]:
        """Count what the providers did wrong."""
        faults: Counter[str] = Counter()
        for _, simulator in self._running:
            stats = simulator.stats()
            faults.update({kind: n for kind, n in stats["faults"].items() if kind != "status"})
            faults.update({status: n for status, n in stats["by_status"].items() if status != "200"})
        return faults


def _bill(provider: Provider, stats: dict[str, Any]) -> Decimal:
    cached: int = stats["cached_tokens"]
    charges: Decimal = (
        (stats["input_tokens"] - cached) * provider.input_usd
        + cached * provider.cached_input_usd
        + stats["output_tokens"] * provider.output_usd
    )
    return charges / _MILLION
