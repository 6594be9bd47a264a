"""Event loops: one after the other, many at once, other ones, and loops that are closed too early."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import pytest
from child import run
from waiting import in_progress, until

import iron_sdk as iron

STALL = {"fault": {"kind": "stall", "at": "before_headers"}}


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


async def use(client):
    reply, streamed = await asyncio.gather(client.chat("Hello"), client.stream("Hello").reply())
    assert reply.text == streamed.text == "echo: Hello"


def test_one_client_serves_loop_after_loop(iron_client):
    asyncio.run(use(iron_client))
    gc.collect()
    before = open_descriptors()
    for _ in range(50):
        asyncio.run(use(iron_client))
    gc.collect()
    # Connections come and go by ones; a descriptor a loop would be fifty.
    assert open_descriptors() < before + 10


def test_two_loops_take_turns_in_one_thread(iron_client):
    loops = [asyncio.new_event_loop() for _ in range(2)]
    for _ in range(3):
        for loop in loops:
            loop.run_until_complete(use(iron_client))
    for loop in loops:
        loop.close()


def test_many_threads_with_a_loop_each(iron_client):
    failures = []

    async def agents():
        await asyncio.gather(*(use(iron_client) for _ in range(20)))

    def thread():
        try:
            for _ in range(3):
                asyncio.run(agents())
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=thread) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []


def test_uvloop(iron_client):
    uvloop = pytest.importorskip("uvloop")
    for _ in range(3):
        loop = uvloop.new_event_loop()
        loop.run_until_complete(asyncio.wait_for(use(iron_client), 20))
        loop.close()


def test_uvloop_closed_with_calls_in_flight(iron_simulator):
    pytest.importorskip("uvloop")
    iron_simulator.set_rules([STALL])
    run(
        CLOSED_EARLY.replace("asyncio.new_event_loop", "__import__('uvloop').new_event_loop"),
        simulator=iron_simulator,
    )


CLOSED_EARLY = """
import gc
one = client(budget="100")

def descriptors():
    return len(os.listdir("/proc/self/fd"))

def leave():
    loop = asyncio.new_event_loop()

    async def main():
        calls = [loop.create_task(one.chat("Hello")) for _ in range(10)]
        stream = one.stream("Hello")
        calls.append(loop.create_task(stream.reply()))
        while one.in_flight < 11:
            await asyncio.sleep(0)
        return calls

    calls = loop.run_until_complete(main())
    for call in calls:
        # asyncio itself complains of tasks that are destroyed while pending.
        call._log_destroy_pending = False
    loop.close()

leave()
gc.collect()
before = descriptors()
for _ in range(20):
    leave()
gc.collect()
# Calls of loops that are gone are given up, which ends their connections.
while one.in_flight:
    pass
while descriptors() > before + 5:
    pass
assert one.budget.held == 0
"""


def test_closed_with_calls_in_flight(iron_simulator):
    iron_simulator.set_rules([STALL])
    run(CLOSED_EARLY, simulator=iron_simulator)


def test_a_loop_that_cannot_watch_descriptors_is_refused(iron_client):
    class Blind(asyncio.SelectorEventLoop):
        def add_reader(self, *_):
            raise NotImplementedError

    loop = Blind()
    with pytest.raises(iron.ConfigError, match="the event loop Blind cannot watch descriptors"):
        loop.run_until_complete(iron_client.chat("Hello"))
    loop._add_reader = None
    loop.close()


def test_debug_mode_has_no_complaint(iron_client):
    asyncio.run(use(iron_client), debug=True)


async def test_eager_tasks_work(iron_client):
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("eager tasks came with Python 3.12")
    asyncio.get_running_loop().set_task_factory(factory)
    await use(iron_client)


async def test_calls_are_tasks_like_any_other(iron_client, iron_simulator):
    first, second = await asyncio.gather(iron_client.chat("a"), asyncio.create_task(iron_client.chat("b")))
    assert (first.text, second.text) == ("echo: a", "echo: b")
    done, _ = await asyncio.wait([asyncio.ensure_future(iron_client.chat("c"))])
    assert done.pop().result().text == "echo: c"
    assert (await asyncio.shield(iron_client.chat("d"))).text == "echo: d"
    iron_simulator.set_rules([STALL])
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(iron_client.chat("e"), 0.02)
    await until(in_progress(iron_simulator, 0))
