"""Mistakes that are easy to make: each error says what to write instead."""

from __future__ import annotations

import asyncio

import pytest

import iron_sdk as iron


async def test_an_asynchronous_stream_in_a_plain_loop(iron_client):
    with pytest.raises(TypeError, match="use `async for`"):
        list(iron_client.stream("Hello"))


async def test_a_stream_that_is_awaited(iron_client):
    with pytest.raises(TypeError, match=r"await stream\.reply"):
        await iron_client.stream("Hello")


async def test_a_blocking_stream_in_an_asynchronous_loop(iron_simulator):
    with iron_simulator.sync_client() as client, pytest.raises(TypeError, match="use `for`"):
        async for _ in client.stream("Hello"):
            pass


def test_a_call_that_is_not_awaited_is_warned_of(iron_client):
    with pytest.warns(RuntimeWarning, match="never awaited"):
        iron_client.chat("Hello")


async def test_budgets_are_entered_either_way(iron_client):
    with iron.budget("1") as outer:
        async with iron.budget("1") as inner:
            await iron_client.chat("Hello")
    assert inner.spent == outer.spent > 0


async def test_an_event_loop_has_the_blocking_client_in_a_thread(iron_simulator):
    with iron_simulator.sync_client() as client:
        assert (await asyncio.to_thread(client.chat, "Hello")).text == "echo: Hello"
