"""Memory and descriptors over many calls: flat."""

from __future__ import annotations

from child import run


def test_memory_is_flat_over_many_calls(iron_simulator):
    run(
        """
        import gc

        def resident_kib():
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

        prompt = "word " * 2_000

        async def calls(one, count):
            async def agent():
                for _ in range(count // 50):
                    await one.chat(prompt, tools=[{"type": "function", "function": {"name": "f"}}])
                    async with one.stream(prompt) as stream:
                        await stream.__anext__()
                    try:
                        await one.chat("")
                    except iron.ConfigError:
                        pass
            await asyncio.gather(*(agent() for _ in range(50)))

        async def main():
            one = client(budget="1000000")
            await calls(one, 500)
            gc.collect()
            before, objects = resident_kib(), len(gc.get_objects())
            await calls(one, 2_000)
            gc.collect()
            # Fragmentation comes and goes by a few MiB; each call's prompt kept would be 20 MiB.
            assert resident_kib() < before + 8 * 1024, (before, resident_kib())
            assert len(gc.get_objects()) < objects + 200
            await one.aclose()

        asyncio.run(main())
        """,
        simulator=iron_simulator,
    )
