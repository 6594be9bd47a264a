"""The agents: coroutines that ask, read streams and run tools until their work is done or their money is."""

from __future__ import annotations

import asyncio
import json
import resource
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Any

import iron_sdk as iron
from iron_sdk._demo.providers import TOOL_PROMPT, TOOLS

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from iron_sdk._demo.tally import Tally

# Agents set out in groups, so that no provider has all of their connections to open at once.
_GROUP = 64
_GROUP_SECONDS = 0.01
_NANO_USD = Decimal("1e-9")
_TOPICS = ("tides", "glaciers", "bridges", "lichens", "auroras", "canals", "harbours", "comets")
_CITIES = {"Oslo": (717_710, 480), "Lima": (10_092_000, 2_672), "Cairo": (10_044_894, 3_085)}
# Enough for four or five of a researcher's questions, of which some have more.
_RESEARCHER_USD = "0.0060"
# Of these many writers, one has readers who leave early.
_LEAVE_EVERY = 8
_MOST_CHUNKS_READ = 6

_TOOL_DEFINITIONS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"The {name} of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "enum": list(_CITIES)}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
    for name in TOOLS
]


def room_for(agents: int) -> int:
    """Make room for the connections of a swarm, client's and providers' ends both in this process.

    Args:
        agents: How many agents there are.

    Returns:
        The most requests that may be in flight at once.
    """
    # Two ends for each of an agent's two calls at once, and what the interpreter has open besides.
    spare = 200
    wanted = 4 * agents + spare
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard) and soft < wanted:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return 2 * agents if soft == resource.RLIM_INFINITY else max(1, (min(soft, wanted) - spare) // 2)


async def swarm(client: iron.Client, tally: Tally, agents: int) -> None:
    """Run all agents to their ends.

    Args:
        client: What they ask through.
        tally: Where every call is counted.
        agents: How many there are: half of them researchers, the rest writers and tool users.
    """
    desk = _Desk(client, tally)
    # A budget for all researchers, and one for each inside it: their calls are held to three limits.
    research = iron.budget(usd=_half(tally.limit), name="research")
    tasks: list[asyncio.Task[None]] = []
    for number in range(agents):
        if number % 2 == 0:
            with research:
                tasks.append(asyncio.create_task(_until_broke(_research(desk, number))))
        else:
            agent = _write(desk, number) if number % 4 == 1 else _use_tools(desk, number)
            tasks.append(asyncio.create_task(_until_broke(agent)))
        if number % _GROUP == 0:
            await asyncio.sleep(_GROUP_SECONDS)
    await asyncio.gather(*tasks)


class _Desk:
    """Where agents make their calls."""

    def __init__(self, client: iron.Client, tally: Tally) -> None:
        self._client = client
        self._tally = tally

    async def ask(
        self,
        sort: str,
        model: str,
        messages: str | list[dict[str, Any]],
        *,
        max_tokens: int,
        tools: list[dict[str, Any]] | None = None,
    ) -> iron.Reply[None]:
        """Ask, and count what came of it."""
        try:
            reply = await self._client.chat(messages, model=model, max_tokens=max_tokens, tools=tools)
        except iron.IronError as error:
            self._tally.miss(error)
            raise
        self._tally.answer(sort, reply)
        return reply

    async def read(self, model: str, prompt: str, *, max_tokens: int, most_chunks: int | None) -> str:
        """Read a stream, and count what came of it."""
        text = ""
        chunks = 0
        try:
            async with self._client.stream(prompt, model=model, max_tokens=max_tokens) as stream:
                async for chunk in stream:
                    text += chunk.text
                    chunks += 1
                    self._tally.chunks += 1
                    if chunks == most_chunks:
                        self._tally.left += 1
                        return text
                self._tally.answer("streamed", await stream.reply())
        except iron.IronError as error:
            self._tally.miss(error)
            raise
        return text


def _half(usd: Decimal) -> Decimal:
    """Halve an amount, down to whole nano-dollars."""
    return (usd / 2).quantize(_NANO_USD, rounding=ROUND_DOWN)


async def _until_broke(agent: Coroutine[Any, Any, None]) -> None:
    """Let an agent work until it is done, or a call of its is refused or fails: the tally knows."""
    try:
        await agent
    except iron.IronError:
        return


async def _research(desk: _Desk, number: int) -> None:
    """Ask questions two at a time, then put the answers together."""
    topic = _TOPICS[number % len(_TOPICS)]
    with iron.budget(usd=_RESEARCHER_USD, name=f"researcher-{number:03}"):
        notes: list[str] = []
        for wave in range(1 + number % 3):
            questions = [
                f"What does wave {wave} of work on {topic} say about {side}?" for side in ("cause", "effect")
            ]
            asked = (desk.ask("plain", "cheap", question, max_tokens=80) for question in questions)
            replies = await asyncio.gather(*asked, return_exceptions=True)
            for reply in replies:
                if isinstance(reply, BaseException):
                    raise reply
                notes.append(reply.text[:60])
        await desk.ask(
            "plain", "deep", f"Put together what is known of {topic}: {' / '.join(notes)}", max_tokens=80
        )


async def _write(desk: _Desk, number: int) -> None:
    """Write a draft and its revision, read as they come."""
    topic = _TOPICS[number % len(_TOPICS)]
    leaves = number // 4 % _LEAVE_EVERY == 0
    draft = await desk.read("sure", f"Write a paragraph on {topic}.", most_chunks=None, max_tokens=110)
    most_chunks = _MOST_CHUNKS_READ if leaves else None
    await desk.read("deep", f"Write it anew, shorter: {draft[:120]}", most_chunks=most_chunks, max_tokens=110)


async def _use_tools(desk: _Desk, number: int) -> None:
    """Let the model call tools, run them here, and give it what they say."""
    for turn in range(2):
        prompt = f"{TOOL_PROMPT}how crowded is the city of agent {number}, question {turn}?"
        messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
        called = await desk.ask("tool", "cheap", messages, tools=_TOOL_DEFINITIONS, max_tokens=80)
        messages.append(called.message)
        for call in called.tool_calls:
            result = json.dumps(_run_tool(call.name, **call.parsed_arguments()))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        messages.append({"role": "user", "content": "Answer from what the tools say."})
        await desk.ask("tool", "sure", messages, tools=_TOOL_DEFINITIONS, max_tokens=80)


def _run_tool(name: str, city: str) -> dict[str, Any]:
    population, square_km = _CITIES[city]
    return {"city": city, name: population if name == "population" else square_km}
