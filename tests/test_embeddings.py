"""Embeddings: a vector for each text."""

from __future__ import annotations

from decimal import Decimal

import pytest

import iron_sdk as iron

MODEL = "openai/text-embedding-3-small"


async def test_each_text_has_its_vector(iron_client):
    vectors = await iron_client.embed(["a", "b", "a"], model=MODEL, dimensions=8)
    assert len(vectors) == 3
    assert all(len(vector) == 8 for vector in vectors)
    assert vectors[0] == vectors[2] != vectors[1]
    assert vectors[-1] == list(vectors)[2]
    assert vectors[:2] == [vectors[0], vectors[1]]
    assert all(isinstance(number, float) for number in vectors[0])


async def test_one_text_has_one_vector(iron_client):
    (vector,) = await iron_client.embed("a", model=MODEL)
    assert len(vector) == 1536


async def test_base64_gives_the_same_floats(iron_client):
    plain = await iron_client.embed("a", model=MODEL, dimensions=8)
    packed = await iron_client.embed("a", model=MODEL, dimensions=8, encoding_format="base64")
    assert packed[0] == pytest.approx(plain[0], abs=1e-6)


async def test_usage_and_cost_are_told(iron_client):
    with iron.budget("1") as budget:
        vectors = await iron_client.embed(["a", "b"], model=MODEL)
    assert vectors.usage.input_tokens == 2
    assert vectors.cost == budget.spent == Decimal("0.00000004")
    assert vectors.request_id
    assert vectors.raw.startswith(b"{")
    assert repr(vectors) == "<Embeddings of openai/text-embedding-3-small: 2 tokens, 0.00000004 USD>"
