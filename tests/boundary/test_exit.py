"""The interpreter's exit while work is in flight: clean, quick, and silent."""

from __future__ import annotations

import pytest
from child import finish, run, start
from waiting import in_progress, until_blocking

STALL = {"fault": {"kind": "stall", "at": "before_headers"}}
TIMES = 10

pinned = pytest.mark.parametrize("pinned", [False, True], ids=["all_cores", "one_core"])


@pinned
def test_in_mid_call(iron_simulator, pinned):
    iron_simulator.set_rules([STALL])
    for _ in range(TIMES):
        with start(
            """
            async def main():
                calls = [asyncio.ensure_future(client().chat("Hello")) for _ in range(3)]
                await asyncio.get_running_loop().run_in_executor(None, wait_for_go)

            asyncio.run(main())
            """,
            simulator=iron_simulator,
            pinned=pinned,
        ) as child:
            until_blocking(in_progress(iron_simulator, 3))
            finish(child, go=True)
            assert iron_simulator.quiet()


@pinned
def test_in_mid_stream(iron_simulator, pinned):
    iron_simulator.set_rules([{"tokens_per_second": 2000, "reply": {"output_tokens": 100_000}}])
    for _ in range(TIMES):
        run(
            """
            async def main():
                async with client().stream("Hello") as stream:
                    for _ in range(20):
                        await stream.__anext__()
                    sys.exit(0)

            asyncio.run(main())
            """,
            simulator=iron_simulator,
            pinned=pinned,
        )


@pinned
def test_while_results_arrive_at_a_loop_that_is_left_open(iron_simulator, pinned):
    for _ in range(TIMES):
        run(
            """
            loop = asyncio.new_event_loop()
            one = client()

            async def main():
                loop.calls = [loop.create_task(one.chat("Hello")) for _ in range(50)]
                await loop.calls[0]

            loop.run_until_complete(main())
            # asyncio itself complains of tasks that are destroyed while pending.
            for call in loop.calls:
                call._log_destroy_pending = False
            """,
            simulator=iron_simulator,
            pinned=pinned,
        )


@pinned
def test_with_loops_in_daemon_threads(iron_simulator, pinned):
    for _ in range(TIMES):
        run(
            """
            import threading
            one = client()
            began = threading.Event()

            async def agent():
                while True:
                    await one.chat("Hello")
                    began.set()

            async def main():
                await asyncio.gather(*(agent() for _ in range(20)), return_exceptions=True)

            for _ in range(2):
                threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
            began.wait()
            """,
            simulator=iron_simulator,
            pinned=pinned,
        )


@pinned
def test_with_blocking_calls_in_daemon_threads(iron_simulator, pinned):
    iron_simulator.set_rules([STALL])
    for _ in range(TIMES):
        with start(
            """
            import threading
            one = sync_client()

            def agent():
                try:
                    one.chat("Hello")
                except iron.ClosedError:
                    pass

            for _ in range(3):
                threading.Thread(target=agent, daemon=True).start()
            wait_for_go()
            """,
            simulator=iron_simulator,
            pinned=pinned,
        ) as child:
            until_blocking(in_progress(iron_simulator, 3))
            finish(child, go=True)
            assert iron_simulator.quiet()


def test_with_a_simulator_running():
    run(
        """
        from iron_sdk.testing import Simulator
        simulator = Simulator().__enter__()
        one = simulator.sync_client()
        assert one.chat("Hello").text == "echo: Hello"
        """
    )


def test_calls_after_the_exit_hook_are_refused(iron_simulator):
    output = run(
        """
        import atexit

        one = sync_client()
        one.chat("Hello")

        async def late():
            await client().chat("Hello")

        def at_exit():
            for call in (lambda: one.chat("Hello"), lambda: asyncio.run(late())):
                try:
                    call()
                except iron.ClosedError as error:
                    print(error.code)

        # Hooks run in reverse: this one after that of iron_sdk.
        from iron_sdk import _iron
        atexit.unregister(_iron.shutdown)
        atexit.register(at_exit)
        atexit.register(_iron.shutdown, 2000)
        """,
        simulator=iron_simulator,
    )
    assert output == "closed\nclosed\n"
