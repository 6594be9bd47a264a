"""The load: one request, the same for every contender, and the shapes in which it is repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

API_KEY = "sk-bench"
MODEL = "gpt-5-mini"
MAX_TOKENS = 64
# 2,000 bytes of prose, the size of a short system prompt with its question.
PROMPT = ("An agent that may spend money must know its limits before it acts, not after. " * 26)[:2000]
# A long document: 1 MB, some of it not ASCII, as documents are.
LONG_PROMPT = "Der Vertrag läuft über 24 Monate; die Gebühr beträgt 1.200 € im Jahr. " * 13_699

CHUNKS = 100
PACE_MS = 5
STREAMS = 64
# What `lean_mock` sends: characters in its completion, and in each chunk of its streams.
REPLY_CHARACTERS = 170
CHUNK_CHARACTERS = len(" token")


@dataclass(frozen=True)
class Workload:
    """One shape of load; `path` tells the mock which stream to send."""

    name: str
    kind: str  # plain, stream, stall or long
    concurrency: int
    path: str = ""

    @property
    def characters(self) -> int:
        """Characters of text one call brings."""
        return CHUNK_CHARACTERS * CHUNKS if self.kind == "stream" else REPLY_CHARACTERS


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("c1", "plain", 1),
        Workload("c64", "plain", 64),
        Workload("c512", "plain", 512),
        Workload("burst", "stream", STREAMS, f"/burst-{CHUNKS}"),
        Workload("paced", "stream", STREAMS, f"/paced-{CHUNKS}-{PACE_MS}"),
        Workload("stall", "stall", 1000, "/stall"),
        Workload("long", "long", 1),
    )
}


def request(*, stream: bool, prompt: str = PROMPT) -> dict[str, Any]:
    """Return the request body that contenders without a chat API of their own send."""
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": MAX_TOKENS,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body
