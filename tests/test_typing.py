"""The program that type checkers check: it runs as well."""

from __future__ import annotations

from typed import usage


async def test_the_typed_program_runs(iron_simulator):
    iron_simulator.set_rules([{"when": {"text": "Hello"}, "reply": {"text": '{"name": "Oslo"}'}}])
    async with iron_simulator.client(budget="1") as client:
        with iron_simulator.sync_client() as other:
            await usage.main(client, other)
    assert client.stats().failed == {}
