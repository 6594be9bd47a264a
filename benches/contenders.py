"""The Python contenders, and the child process that puts one of them under one workload.

`python contenders.py CONTENDER WORKLOAD BASE_URL SECONDS` writes one JSON line. Each contender reads the
text of every reply and chunk, and nothing else of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workload import (
    API_KEY,
    CHUNK_CHARACTERS,
    CHUNKS,
    LONG_PROMPT,
    MAX_TOKENS,
    MODEL,
    PROMPT,
    REPLY_CHARACTERS,
    STREAMS,
    WORKLOADS,
    Workload,
    request,
)

HEADERS = {"authorization": f"Bearer {API_KEY}", "content-type": "application/json"}
PROGRESS_STEPS = 20
# The pool of the openai SDK opens connections at quadratic cost, and settles after some seven calls a task.
WARM_UP_CALLS = 8


@dataclass(slots=True)
class Tally:
    """Characters of text read so far."""

    characters: int = 0


@dataclass(frozen=True)
class Contender:
    """One client under load: a call, and a stream read to its end; both add to the tally."""

    call: Callable[[Tally], Awaitable[None]]
    stream: Callable[[Tally], Awaitable[None]]


def _events(pending: bytearray, received: bytes) -> Iterator[Any]:
    """Yield the JSON of each event that `received` completes."""
    pending += received
    *events, rest = pending.split(b"\n\n")
    pending[:] = rest
    for event in events:
        if event != b"data: [DONE]":
            yield json.loads(event[6:])


def _read(event: Any, tally: Tally) -> None:  # noqa: ANN401
    if event["choices"]:
        tally.characters += len(event["choices"][0]["delta"].get("content") or "")


@asynccontextmanager
async def iron(base_url: str, prompt: str) -> AsyncIterator[Contender]:
    """Run library mode, governed: a budget chain of three, and three limits that never bind."""
    import iron_sdk

    config = {
        "providers": {"openai": {"base_url": base_url, "api_key": API_KEY}},
        "limits": {"requests_per_minute": 10**8, "tokens_per_minute": 4 * 10**9, "concurrency": 4096},
    }
    options: dict[str, Any] = {"model": f"openai/{MODEL}", "max_tokens": MAX_TOKENS}
    async with iron_sdk.Client(config=config, budget="1000000") as client:

        async def call(tally: Tally) -> None:
            reply = await client.chat(prompt, **options)
            tally.characters += len(reply.text)

        async def stream(tally: Tally) -> None:
            async with client.stream(prompt, **options) as chunks:
                async for chunk in chunks:
                    tally.characters += len(chunk.text)

        with iron_sdk.budget(usd="100000", name="a"), iron_sdk.budget(usd="90000", name="b"):
            yield Contender(call, stream)


@asynccontextmanager
async def pyreqwest(base_url: str, prompt: str) -> AsyncIterator[Contender]:
    """Post ready bytes; `Response.json` for replies, `json.loads` for each event.

    By default a stream is handed over once 64 KiB of it are there or it has ended; a chat client needs
    each chunk when it comes, hence the buffer of none.
    """
    from pyreqwest.client import ClientBuilder

    url = f"{base_url}/chat/completions"
    plain, streamed = (json.dumps(request(stream=stream, prompt=prompt)).encode() for stream in (False, True))
    builder = ClientBuilder().default_headers(HEADERS).follow_redirects(enable=False)
    async with builder.error_for_status(enable=True).build() as client:

        async def call(tally: Tally) -> None:
            reply = await client.post(url).body_bytes(plain).build().send()
            body = await reply.json()
            tally.characters += len(body["choices"][0]["message"]["content"])

        async def stream(tally: Tally) -> None:
            pending = bytearray()
            post = client.post(url).body_bytes(streamed).streamed_read_buffer_limit(0)
            async with post.build_streamed() as reply:
                while received := await reply.body_reader.read_chunk():
                    for event in _events(pending, received):
                        _read(event, tally)

        yield Contender(call, stream)


@asynccontextmanager
async def aiohttp(base_url: str, prompt: str) -> AsyncIterator[Contender]:
    """Post ready bytes; `json.loads` for replies and for each event."""
    from aiohttp import ClientSession, TCPConnector

    url = f"{base_url}/chat/completions"
    plain, streamed = (json.dumps(request(stream=stream, prompt=prompt)).encode() for stream in (False, True))
    # The default of 100 connections would queue what the others send.
    connector = TCPConnector(limit=0)
    async with ClientSession(connector=connector, headers=HEADERS, raise_for_status=True) as session:

        async def call(tally: Tally) -> None:
            async with session.post(url, data=plain, allow_redirects=False) as reply:
                body = await reply.json()
            tally.characters += len(body["choices"][0]["message"]["content"])

        async def stream(tally: Tally) -> None:
            pending = bytearray()
            async with session.post(url, data=streamed, allow_redirects=False) as reply:
                async for received in reply.content.iter_any():
                    for event in _events(pending, received):
                        _read(event, tally)

        yield Contender(call, stream)


def _reading(create: Callable[..., Awaitable[Any]], prompt: str, **options: Any) -> Contender:  # noqa: ANN401
    """Read replies and chunks as the openai SDK's types name their parts, which litellm's follow."""
    messages = [{"role": "user", "content": prompt}]

    async def call(tally: Tally) -> None:
        reply = await create(messages=messages, max_tokens=MAX_TOKENS, **options)
        tally.characters += len(reply.choices[0].message.content)

    async def stream(tally: Tally) -> None:
        chunks = await create(
            messages=messages,
            max_tokens=MAX_TOKENS,
            stream=True,
            stream_options={"include_usage": True},
            **options,
        )
        async for chunk in chunks:
            if chunk.choices:
                tally.characters += len(chunk.choices[0].delta.content or "")

    return Contender(call, stream)


@asynccontextmanager
async def openai(base_url: str, prompt: str) -> AsyncIterator[Contender]:
    """Run the official SDK as it comes, without retries."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=base_url, api_key=API_KEY, max_retries=0) as client:
        yield _reading(client.chat.completions.create, prompt, model=MODEL)


@asynccontextmanager
async def litellm(base_url: str, prompt: str) -> AsyncIterator[Contender]:
    """Run `acompletion` as it comes, without retries."""
    import litellm as module

    yield _reading(
        module.acompletion,
        prompt,
        model=f"openai/{MODEL}",
        api_base=base_url,
        api_key=API_KEY,
        max_retries=0,
        num_retries=0,
    )


Open = Callable[[str, str], AbstractAsyncContextManager[Contender]]
CONTENDERS: dict[str, Open] = {
    "iron": iron,
    "pyreqwest": pyreqwest,
    "aiohttp": aiohttp,
    "openai": openai,
    "litellm": litellm,
}


def rss_bytes() -> int:
    """Return the memory of this process that is in RAM."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    message = "no VmRSS"
    raise RuntimeError(message)


async def _repeat(
    call: Callable[[Tally], Awaitable[None]],
    tally: Tally,
    concurrency: int,
    more: Callable[[], bool],
) -> list[int]:
    """Repeat the call from `concurrency` tasks while there is more; return durations in nanoseconds."""
    durations: list[int] = []
    clock = time.perf_counter_ns

    async def worker() -> None:
        begun = clock()
        while more():
            await call(tally)
            now = clock()
            durations.append(now - begun)
            begun = now

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return durations


def _until(seconds: float) -> Callable[[], bool]:
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() < end


def _warming(seconds: float, calls: int) -> Callable[[], bool]:
    """Hold for a quarter of `seconds` and until `calls` were begun, but not beyond ten times `seconds`."""
    short, wanting, long = _until(seconds / 4), _times(calls), _until(seconds * 10)
    return lambda: (wanting() and long()) or short()


def _times(calls: int) -> Callable[[], bool]:
    left = iter(range(calls))
    return lambda: next(left, None) is not None


async def measure(contender: Contender, workload: Workload, seconds: float) -> dict[str, float]:
    """Return calls, durations and the CPU time of all threads over `seconds`, after a warm-up."""
    call = contender.call if workload.kind == "plain" else contender.stream
    each = WARM_UP_CALLS if workload.kind == "plain" else 1
    warming = _warming(seconds, workload.concurrency * each)
    await _repeat(call, Tally(), workload.concurrency, warming)
    tally = Tally()
    cpu, wall = time.process_time(), time.perf_counter()
    durations = await _repeat(call, tally, workload.concurrency, _until(seconds))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    durations.sort()
    return {
        "calls": len(durations),
        "characters": tally.characters,
        "seconds": wall,
        "cpu_seconds": cpu,
        "p50_us": durations[len(durations) * 50 // 100] / 1e3,
        "p99_us": durations[len(durations) * 99 // 100] / 1e3,
    }


async def stall(contender: Contender, streams: int) -> dict[str, float]:
    """Return the memory that all but the first of `streams` open streams take.

    The first has made the client load whatever streaming needs. A thousand in all, not one more: that is
    where the openai SDK's pool ends.
    """
    tally = Tally()

    async def more_streams(count: int) -> list[asyncio.Task[None]]:
        awaited = tally.characters + count * CHUNK_CHARACTERS
        tasks = [asyncio.ensure_future(contender.stream(tally)) for _ in range(count)]
        while tally.characters < awaited:
            await asyncio.sleep(0.02)
            for task in tasks:
                if task.done():
                    task.result()
        return tasks

    tasks = await more_streams(1)
    before = rss_bytes()
    tasks += await more_streams(streams - 1)
    taken = rss_bytes() - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"calls": streams - 1, "rss_bytes": taken}


async def halts(contender: Contender, concurrency: int, seconds: float) -> dict[str, float]:
    """Return how long each call keeps the event loop from turning.

    A task that does nothing but take turns sees it: the longest of its turns while a call is on its way, by
    the clock of the loop's own thread, which stands still while another thread has the core.
    """
    clock = time.thread_time_ns
    longest = 0

    async def turns() -> None:
        nonlocal longest
        before = clock()
        while True:
            await asyncio.sleep(0)
            now = clock()
            longest, before = max(longest, now - before), now

    async def call(tally: Tally) -> None:
        nonlocal longest
        await contender.call(tally)
        seen.append(longest)
        longest = 0

    seen: list[int] = []
    watch = asyncio.ensure_future(turns())
    await _repeat(call, Tally(), concurrency, _times(2 * concurrency))
    seen.clear()
    tally = Tally()
    await _repeat(call, tally, concurrency, _until(seconds))
    watch.cancel()
    seen.sort()
    return {"calls": len(seen), "characters": tally.characters, "halt_us": seen[len(seen) // 2] / 1e3}


async def soak(
    call: Callable[[Tally], Awaitable[None]], characters: int, concurrency: int, calls: int
) -> dict[str, Any]:
    """Return the memory in use after each twentieth of `calls` calls that each bring `characters`."""
    step = calls // PROGRESS_STEPS
    tally, samples = Tally(), []
    for _ in range(PROGRESS_STEPS):
        await _repeat(call, tally, concurrency, _times(step))
        samples.append(rss_bytes())
    if tally.characters != step * PROGRESS_STEPS * characters:
        message = "text was lost"
        raise RuntimeError(message)
    return {"calls": step * PROGRESS_STEPS, "rss_bytes_at_each_twentieth": samples}


async def run(name: str, workload: str, base_url: str, amount: float) -> dict[str, Any]:
    """Run one contender under one workload; `amount` is seconds, or calls for a soak."""
    prompt = LONG_PROMPT if workload == "long" else PROMPT
    async with CONTENDERS[name](base_url, prompt) as contender:
        if workload == "soak":
            return await soak(contender.call, REPLY_CHARACTERS, WORKLOADS["c64"].concurrency, int(amount))
        if workload == "soak-streams":
            return await soak(contender.stream, CHUNKS * CHUNK_CHARACTERS, STREAMS, int(amount))
        load = WORKLOADS[workload]
        if load.kind == "stall":
            return await stall(contender, load.concurrency)
        if load.kind == "long":
            return await halts(contender, load.concurrency, amount)
        return await measure(contender, load, amount)


if __name__ == "__main__":
    contender_name, workload_name, url, how_much = sys.argv[1:]
    line = json.dumps(asyncio.run(run(contender_name, workload_name, url, float(how_much))))
    print(line, flush=True)
    # How a client leaves the interpreter is not measured, and some do not leave it in peace.
    os._exit(0)
