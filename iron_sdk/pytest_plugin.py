"""Fixtures for users' own tests: a simulated provider, and a client of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iron_sdk import Client
    from iron_sdk.testing import Simulator


@pytest.fixture
def iron_simulator() -> Iterator[Simulator]:
    """Run a simulator without rules; give it some with `iron_simulator.set_rules([...])`."""
    # Imported when it is used: the plugin is loaded by every run of pytest.
    from iron_sdk.testing import Simulator

    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def iron_client(iron_simulator: Simulator) -> Client:
    """Open a client of `iron_simulator`, whose calls cost simulated dollars."""
    return iron_simulator.client()
