"""Governed LLM calls for Python agents: budgets, limits and retries in a Rust core."""

import typing

from iron_sdk import _lifecycle
from iron_sdk._api import chat, configure, embed, estimate, events, stats, stream
from iron_sdk._budget import Budget, budget
from iron_sdk._client import Client
from iron_sdk._embeddings import Embeddings
from iron_sdk._errors import (
    AuditError,
    BudgetError,
    BudgetExceededError,
    ClosedError,
    ConfigError,
    ContentBlockedError,
    DetectorError,
    ForkedProcessError,
    InternalError,
    IronError,
    LedgerError,
    NoUpstreamError,
    OutputInvalidError,
    PolicyDeniedError,
    PolicyError,
    RateLimitError,
    UpstreamConnectionError,
    UpstreamError,
    UpstreamStatusError,
    UpstreamTimeoutError,
    Violation,
)
from iron_sdk._iron import Chunk, __version__
from iron_sdk._policy import Policy, policy
from iron_sdk._run import Run, run
from iron_sdk._stream import ChatStream
from iron_sdk._sync import SyncChatStream, SyncClient
from iron_sdk._types import Choice, Estimate, Finding, Reply, Timing, ToolCall, ToolCallDelta, Usage

if typing.TYPE_CHECKING:
    from iron_sdk._answers import ApprovalRequest, Match
    from iron_sdk._events import Events
    from iron_sdk._happened import (
        BreakerClosed,
        BreakerOpened,
        BudgetLow,
        CallCancelled,
        CallFailed,
        CallFellBack,
        CallFinished,
        CallRefused,
        CallRepaired,
        CallRetried,
        CallStarted,
        Event,
        EventsDropped,
        LeaseClosed,
        LeaseLost,
        LeaseRecovered,
        LeaseTaken,
    )
    from iron_sdk._stats import Quantiles, Stats, UpstreamStats

__all__ = [
    "ApprovalRequest",
    "AuditError",
    "BreakerClosed",
    "BreakerOpened",
    "Budget",
    "BudgetError",
    "BudgetExceededError",
    "BudgetLow",
    "CallCancelled",
    "CallFailed",
    "CallFellBack",
    "CallFinished",
    "CallRefused",
    "CallRepaired",
    "CallRetried",
    "CallStarted",
    "ChatStream",
    "Choice",
    "Chunk",
    "Client",
    "ClosedError",
    "ConfigError",
    "ContentBlockedError",
    "DetectorError",
    "Embeddings",
    "Estimate",
    "Event",
    "Events",
    "EventsDropped",
    "Finding",
    "ForkedProcessError",
    "InternalError",
    "IronError",
    "LeaseClosed",
    "LeaseLost",
    "LeaseRecovered",
    "LeaseTaken",
    "LedgerError",
    "Match",
    "NoUpstreamError",
    "OutputInvalidError",
    "Policy",
    "PolicyDeniedError",
    "PolicyError",
    "Quantiles",
    "RateLimitError",
    "Reply",
    "Run",
    "Stats",
    "SyncChatStream",
    "SyncClient",
    "Timing",
    "ToolCall",
    "ToolCallDelta",
    "UpstreamConnectionError",
    "UpstreamError",
    "UpstreamStats",
    "UpstreamStatusError",
    "UpstreamTimeoutError",
    "Usage",
    "Violation",
    "__version__",
    "budget",
    "chat",
    "configure",
    "embed",
    "estimate",
    "events",
    "policy",
    "run",
    "stats",
    "stream",
]

# Names that few programs use: what they are in is imported when one of them is asked for.
_LATER = {
    "ApprovalRequest": "_answers",
    "BreakerClosed": "_happened",
    "BreakerOpened": "_happened",
    "BudgetLow": "_happened",
    "CallCancelled": "_happened",
    "CallFailed": "_happened",
    "CallFellBack": "_happened",
    "CallFinished": "_happened",
    "CallRefused": "_happened",
    "CallRepaired": "_happened",
    "CallRetried": "_happened",
    "CallStarted": "_happened",
    "Event": "_happened",
    "Events": "_events",
    "EventsDropped": "_happened",
    "LeaseClosed": "_happened",
    "LeaseLost": "_happened",
    "LeaseRecovered": "_happened",
    "LeaseTaken": "_happened",
    "Match": "_answers",
    "Quantiles": "_stats",
    "Stats": "_stats",
    "UpstreamStats": "_stats",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'iron_sdk' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"iron_sdk.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)


# Where users find a name is where tracebacks, documentation and pickles look for it.
for _object in [globals()[name] for name in __all__ if name not in _LATER]:
    if getattr(_object, "__module__", "").startswith("iron_sdk._"):
        _object.__module__ = "iron_sdk"

_lifecycle.stop_at_exit()
