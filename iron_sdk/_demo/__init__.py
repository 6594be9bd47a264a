"""The demo: a swarm of agents on a budget that cannot pay for them all."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from decimal import Decimal

import iron_sdk as iron
from iron_sdk._demo import agents as cast
from iron_sdk._demo.progress import Progress
from iron_sdk._demo.providers import Market
from iron_sdk._demo.screen import Screen
from iron_sdk._demo.summary import Summary, opening
from iron_sdk._demo.tally import Tally

# Unlimited, an agent spends about 0.0032 USD.
_USD_PER_AGENT = Decimal("0.0025")


def run(*, agents: int, budget: str | None, seed: int, no_progress: bool) -> int:
    """Run the demo and write its summary to standard output.

    Args:
        agents: How many agents run at once.
        budget: What they may spend together, in US dollars; None for too little.
        seed: Seed of everything that is drawn.
        no_progress: Show nothing while it runs.

    Returns:
        The code to exit with: 1 if an invariant did not hold.
    """
    limit = _USD_PER_AGENT * agents if budget is None else Decimal(budget)
    try:
        # The agents are Python: here it is Python that handles Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        summary = asyncio.run(_play(agents, limit, seed, shown=not no_progress))
        summary.write(Screen(sys.stdout))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Nobody reads: what is left in the buffer must not fail a second time at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (iron.ConfigError, OSError) as error:
        sys.stderr.write(f"error[{getattr(error, 'code', 'io')}]: {error}\n")
        return 1
    return 1 if summary.broken else 0


async def _play(agents: int, limit: Decimal, seed: int, *, shown: bool) -> Summary:
    opening(Screen(sys.stdout), agents, limit, seed)
    sys.stdout.flush()
    async with Market.open(seed, concurrency=cast.room_for(agents)) as market:
        async with iron.Client(market.config(), budget=limit) as client:
            tally = Tally(client)
            began = time.monotonic()
            async with Progress(Screen(sys.stderr), tally, agents, shown=shown):
                await cast.swarm(client, tally, agents)
            # Calls that their agents gave up may still be on their way to being settled.
            await client.aclose()
            tally.look()
            seconds = time.monotonic() - began
        await market.quiet()
        return Summary(tally, market.bills(), market.faults(), seconds)
