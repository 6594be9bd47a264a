"""Properties of the edge between Python and Rust: what goes in comes out, whatever it is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import iron_sdk as iron

NANO = Decimal("1e-9")
# The most that fits: nano-dollars are 64 bits.
MOST = Decimal(2**63 - 1) * NANO
# A call over a socket takes what it takes; and all examples share the simulator.
over_a_socket = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

amounts = st.integers(0, 2**63 - 1).map(lambda nanos: nanos * NANO)
# A lone surrogate is no text, and refused.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(amounts)
def test_money_is_exact(amount):
    for given_as in (amount, f"{amount:f}"):
        assert iron.budget(given_as).limit == amount
    assert iron.budget(amount).remaining == amount


@given(amounts, st.integers(1, 999))
def test_money_that_is_finer_than_a_nano_dollar_is_refused(amount, thousandths):
    finer = amount + thousandths * NANO / 1000
    with pytest.raises(iron.ConfigError):
        iron.budget(finer)


@given(st.decimals(min_value=-MOST, max_value=-NANO, places=9) | st.decimals(min_value=MOST + NANO, places=9))
def test_money_beyond_what_can_be_held_is_refused(amount):
    with pytest.raises(iron.ConfigError):
        iron.budget(amount)


@given(st.floats())
def test_a_float_is_no_money(amount):
    with pytest.raises(iron.ConfigError, match="float"):
        iron.budget(amount)


@over_a_socket
@given(texts)
def test_text_is_sent_and_shown_as_it_is(iron_simulator, text):
    with iron_simulator.sync_client() as client:
        reply = client.chat(text, model="openai/gpt-6-luna")
    assert iron_simulator.requests()[-1]["body"]["messages"][0]["content"] == text
    assert reply.text == f"echo: {text}"


@over_a_socket
@given(values)
def test_a_field_that_is_not_known_is_sent_as_it_is(iron_simulator, value):
    with iron_simulator.sync_client() as client:
        client.chat("Hello", model="openai/gpt-6-luna", extra_body={"anything": {"of": value}})
    assert iron_simulator.requests()[-1]["body"]["anything"] == {"of": value}
