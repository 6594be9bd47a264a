"""Reviews, judged in threads. Set OPENAI_API_KEY to ask the provider, not a simulator."""

from __future__ import annotations

import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import iron_sdk as iron
from iron_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

REVIEWS = [
    "The tea is fine, the tin is dented.",
    "Best coffee this side of the harbour!",
    "Arrived late, and the cups were broken.",
    "My third order, and as good as the first.",
    "The smell alone is worth the price.",
    "Tastes of cardboard.",
    "Quick, friendly, well packed.",
    "I had hoped for more.",
]


@dataclass
class Verdict:
    mood: Literal["happy", "unhappy", "mixed"]
    reason: str


def judge(client: iron.SyncClient, review: str) -> Verdict:
    reply = client.chat(f"Judge this review: {review}", response_format=Verdict, max_tokens=1000)
    if reply.parsed is None:
        raise ValueError(f"no verdict: {reply.finish_reason}")
    return reply.parsed


def show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


@contextmanager
def connect(model: str = "openai/gpt-6-luna", budget: str = "0.05") -> Iterator[iron.SyncClient]:
    if os.environ.get("OPENAI_API_KEY"):
        with iron.SyncClient(model=model, budget=budget) as client:
            yield client
        return
    rules = [{"every": 5, "fault": {"kind": "status", "status": 503}}]  # retried, out of sight
    with (
        Simulator(rules=rules, latency_ms=(10, 40)) as simulator,
        simulator.sync_client(model=model, budget=budget) as client,
    ):
        yield client


def main() -> None:
    moods: Counter[str] = Counter()
    with connect() as client, ThreadPoolExecutor(max_workers=4) as threads:
        verdicts = [threads.submit(judge, client, review) for review in REVIEWS]
        for done, verdict in enumerate(as_completed(verdicts), start=1):
            show_progress(done, len(verdicts))
            try:
                moods[verdict.result().mood] += 1
            except (iron.IronError, ValueError) as error:
                print(f"no verdict: {error}", file=sys.stderr)
        print(f"{moods.total()} of {len(REVIEWS)} judged: {dict(moods)}")
        print(client.budget)


if __name__ == "__main__":
    main()
