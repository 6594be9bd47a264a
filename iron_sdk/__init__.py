"""Governed LLM calls for Python agents: budgets, limits and retries in a Rust core."""

from iron_sdk import _lifecycle
from iron_sdk._api import chat, configure, embed, stream
from iron_sdk._budget import Budget, budget
from iron_sdk._client import Client
from iron_sdk._embeddings import Embeddings
from iron_sdk._errors import (
    BudgetError,
    BudgetExceededError,
    ClosedError,
    ConfigError,
    ForkedProcessError,
    InternalError,
    IronError,
    LedgerError,
    NoUpstreamError,
    RateLimitError,
    UpstreamConnectionError,
    UpstreamError,
    UpstreamStatusError,
    UpstreamTimeoutError,
)
from iron_sdk._iron import Chunk, __version__
from iron_sdk._stream import ChatStream
from iron_sdk._sync import SyncChatStream, SyncClient
from iron_sdk._types import Choice, Reply, Timing, ToolCall, ToolCallDelta, Usage

__all__ = [
    "Budget",
    "BudgetError",
    "BudgetExceededError",
    "ChatStream",
    "Choice",
    "Chunk",
    "Client",
    "ClosedError",
    "ConfigError",
    "Embeddings",
    "ForkedProcessError",
    "InternalError",
    "IronError",
    "LedgerError",
    "NoUpstreamError",
    "RateLimitError",
    "Reply",
    "SyncChatStream",
    "SyncClient",
    "Timing",
    "ToolCall",
    "ToolCallDelta",
    "UpstreamConnectionError",
    "UpstreamError",
    "UpstreamStatusError",
    "UpstreamTimeoutError",
    "Usage",
    "__version__",
    "budget",
    "chat",
    "configure",
    "embed",
    "stream",
]

# Where users find a name is where tracebacks, documentation and pickles look for it.
for _object in [globals()[name] for name in __all__]:
    if getattr(_object, "__module__", "").startswith("iron_sdk._"):
        _object.__module__ = "iron_sdk"

_lifecycle.stop_at_exit()
