"""A thousand coroutines on a budget for about a hundred of them: the limit holds, and is used."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest
from waiting import until

import iron_sdk as iron
from iron_sdk.testing import Simulator

CALLS = 1000
OUTPUT_TOKENS = 100
# Of openai/gpt-6-luna, in US dollars a token, as the built-in `pricing/catalog/openai.toml` has them.
INPUT, CACHED, OUTPUT = Decimal("0.10e-6"), Decimal("0.01e-6"), Decimal("0.50e-6")
# About a hundred calls of a short prompt and a hundred output tokens.
LIMIT = Decimal("0.00515")
FAULTS = [
    {"when": {"text": "busy"}, "fault": {"kind": "status", "status": 429}},
    {"when": {"text": "broken"}, "fault": {"kind": "status", "status": 500}},
    {"when": {"text": "reset"}, "fault": {"kind": "reset", "at": {"after_bytes": 100}}},
    {"when": {"text": "stalled"}, "fault": {"kind": "stall", "at": "before_headers"}},
    {"reply": {"output_tokens": OUTPUT_TOKENS}},
]


def served_cost(simulator):
    """Price what the simulator itself counts as served, apart from what the client says."""
    stats = simulator.stats()
    fresh = stats["input_tokens"] - stats["cached_tokens"]
    return fresh * INPUT + stats["cached_tokens"] * CACHED + stats["output_tokens"] * OUTPUT


async def one(client, prompt, *, stream, timeout):
    if not stream:
        return (await client.chat(prompt, max_tokens=OUTPUT_TOKENS, timeout=timeout)).cost
    async with client.stream(prompt, max_tokens=OUTPUT_TOKENS, timeout=timeout) as chunks:
        async for _ in chunks:
            pass
        return (await chunks.reply()).cost


async def watch(budgets, stop):
    looks = 0
    while not stop.is_set():
        for budget in budgets:
            # One look each: between two of them other threads go on.
            assert budget.spent <= budget.limit
            assert budget.remaining >= 0
        looks += 1
        await asyncio.sleep(0)
    return looks


async def swarm(client, outer, prompts, draw):
    """Run all calls at once; give their outcomes."""
    stop = asyncio.Event()
    watcher = asyncio.create_task(watch([client.budget, outer], stop))
    tasks = []
    for nth, prompt in enumerate(prompts):
        timeout = 0.5 if "stalled" in prompt else 60
        tasks.append(asyncio.create_task(one(client, prompt, stream=nth % 2 == 1, timeout=timeout)))
    doomed = [task for task, prompt in zip(tasks, prompts, strict=True) if "cancelled" in prompt]
    for task in doomed:
        for _ in range(draw.randrange(20)):
            await asyncio.sleep(0)
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    stop.set()
    assert await watcher > 0
    return outcomes


@pytest.mark.parametrize("breaker", [False, True], ids=["no breaker", "breaker"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_the_limit_holds_whatever_becomes_of_the_calls(seed, breaker):
    draw = random.Random(seed)
    kinds = ["plain", "plain", "plain", "busy", "broken", "reset", "stalled", "cancelled", "cancelled"]
    prompts = [f"call {nth:04} {draw.choice(kinds)}" for nth in range(CALLS)]
    with Simulator(rules=FAULTS) as simulator:
        client = iron.Client(
            {"breaker": {"enabled": breaker}},
            budget=LIMIT,
            max_attempts=2,
            base_url=simulator.url,
            api_key="sk-simulated",
            model="openai/gpt-6-luna",
        )
        async with client:
            with iron.budget(LIMIT, name="outer") as outer:
                outcomes = await swarm(client, outer, prompts, draw)
            await until(lambda: client.in_flight == 0)
            assert await simulator.aquiet()
            assert client.budget.held == outer.held == 0
            assert client.budget.spent == outer.spent
            assert served_cost(simulator) <= client.budget.spent <= LIMIT
            # An open breaker refuses calls that the budget could pay for.
            assert breaker or client.budget.spent >= LIMIT * Decimal("0.98")
    refusals = [outcome for outcome in outcomes if isinstance(outcome, iron.BudgetExceededError)]
    # None could have been paid for, but for calls whose deadline passed as they waited.
    final = [refusal for refusal in refusals if not refusal.retryable]
    assert breaker or final
    assert all(refusal.settled + refusal.estimate > refusal.limit for refusal in final)
    unexpected = [
        outcome
        for outcome in outcomes
        if not isinstance(outcome, (Decimal, iron.BudgetError, iron.UpstreamError, iron.RateLimitError))
        and not isinstance(outcome, asyncio.CancelledError)
    ]
    assert not unexpected


async def test_nearly_all_of_the_limit_can_be_used():
    with Simulator(rules=FAULTS) as simulator:
        async with simulator.client(budget=LIMIT) as client:
            prompts = enumerate(["plain"] * CALLS)
            calls = (one(client, prompt, stream=nth % 2 == 1, timeout=60) for nth, prompt in prompts)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert await simulator.aquiet()
            answered = [outcome for outcome in outcomes if isinstance(outcome, Decimal)]
            refused = [outcome for outcome in outcomes if isinstance(outcome, iron.BudgetExceededError)]
            assert len(answered) + len(refused) == CALLS
            # A refusal makes no request.
            assert simulator.stats()["requests"] == len(answered)
            assert served_cost(simulator) == sum(answered) == client.budget.spent
            assert LIMIT * Decimal("0.98") <= client.budget.spent <= LIMIT
