"""`estimate`: what a call would reserve, with nothing sent and nothing held."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from decimal import Decimal

import pytest

import iron_sdk as iron

MODEL = "openai/gpt-6-luna"


async def test_a_bound_is_what_a_call_reserves(iron_client, iron_simulator):
    estimate = iron_client.estimate("Hello", max_tokens=100, n=2)
    assert (estimate.upstream, estimate.priced) == (MODEL, True)
    assert estimate.output_tokens == 200
    # 0.10 and 0.50 US dollars for a million tokens, and the write to the cache is the dearest input.
    assert estimate.cost == estimate.least_cost >= Decimal("0.0001")
    assert isinstance(estimate.cost, Decimal)
    assert iron_simulator.requests() == []

    reply = await iron_client.chat("Hello", max_tokens=100, n=2)
    assert 0 < reply.cost <= estimate.cost
    assert reply.usage.input_tokens <= estimate.input_tokens
    with pytest.raises(iron.BudgetExceededError) as refused:
        await iron_client.chat("Hello", max_tokens=100, n=2, max_cost=estimate.cost - Decimal("1e-9"))
    assert refused.value.estimate == estimate.cost


def test_without_max_tokens_less_will_do(iron_client):
    estimate = iron_client.estimate("Hello")
    assert estimate.least_cost < estimate.cost
    assert estimate.output_tokens == 128_000


def test_a_schema_and_tools_are_part_of_the_input(iron_client):
    @dataclass
    class Answer:
        words: list[str]

    plain = iron_client.estimate("Hello").input_tokens
    assert iron_client.estimate("Hello", response_format=Answer).input_tokens > plain
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
    assert iron_client.estimate("Hello", tools=[tool]).input_tokens > plain


def test_a_route_is_as_dear_as_its_dearest_upstream():
    models = {"any": {"upstreams": [MODEL, "openai/gpt-5.5", "openai/gpt-5-mini"]}}
    with iron.SyncClient({"models": models}, api_key="sk-none") as client:
        assert client.estimate("Hello", model="any").upstream == "openai/gpt-5.5"


def test_what_is_wrong_is_told(iron_client):
    with pytest.raises(iron.ConfigError, match="gpt-6-luna"):
        iron_client.estimate("Hello", model="openai/gpt-6-lun")
    with pytest.raises(iron.ConfigError, match="messages is empty"):
        iron_client.estimate([])


def test_a_model_without_a_price_counts_as_free_and_says_so():
    settings = {
        "providers": {"local": {"base_url": "http://127.0.0.1:9/v1"}},
        "budget": {"unpriced": "allow"},
    }
    with iron.SyncClient(settings) as client:
        estimate = client.estimate("Hello", model="local/m")
    assert (estimate.cost, estimate.priced) == (0, False)


def test_the_module_has_it_too(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    iron.configure(model=MODEL)
    estimate = iron.estimate("Hello", max_tokens=1)
    assert isinstance(estimate, iron.Estimate)
    with pytest.raises(FrozenInstanceError):
        estimate.priced = False
