"""Events of leases: what a process takes of a budget in a ledger file, and what becomes of it."""

from __future__ import annotations

import logging

import pytest
from child import finish, start
from waiting import in_progress, until_blocking

import iron_sdk as iron

# What every program begins with: a client that is held to the ledger at LEDGER.
PREAMBLE = """
import os
import iron_sdk as iron

def client(limit):
    budget = {"limit_usd": limit, "ledger": os.environ["LEDGER"], "window": "daily", "name": "team"}
    url = os.environ["SIMULATOR_URL"]
    return iron.SyncClient({"budget": budget}, base_url=url, api_key="k", model="openai/gpt-6-luna")
"""


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("LEDGER", str(path))
    return path


def client(simulator, ledger, usd="0.01"):
    budget = {"limit_usd": usd, "ledger": str(ledger), "window": "daily", "name": "team"}
    return iron.SyncClient({"budget": budget}, base_url=simulator.url, api_key="k", model="openai/gpt-6-luna")


def first(events, kind):
    return next(event for event in events if isinstance(event, kind))


def test_leases_are_told_from_the_first_to_the_last(iron_simulator, ledger):
    with iron.events() as events:
        with client(iron_simulator, ledger) as one:
            cost = sum(one.chat(f"number {number}", max_tokens=700).cost for number in range(20))
        taken, closed = {}, {}
        for event in events:
            if isinstance(event, iron.LeaseTaken):
                taken[event.lease_id] = event
            elif isinstance(event, iron.LeaseClosed):
                closed[event.lease_id] = event
                if len(closed) == len(taken):
                    break
    assert taken.keys() == closed.keys()
    assert {(event.budget, event.window) for event in taken.values()} == {("team", "daily")}
    assert not next(iter(taken.values())).renewal
    assert any(event.renewal for event in taken.values())
    assert sum(event.spent for event in closed.values()) == cost
    for lease, event in closed.items():
        assert event.amount == taken[lease].amount == event.spent + event.returned
        assert event.reason in {"spent", "given_back"}
    assert "given_back" in {event.reason for event in closed.values()}


def test_a_process_is_told_that_another_wants_its_money(iron_simulator, ledger):
    program = """
    with iron.events() as events:
        one = client("0.01")
        one.chat("Hello", max_tokens=50)
        print("leased", flush=True)
        for event in events:
            if isinstance(event, iron.LeaseClosed):
                print(event.reason, event.returned > 0)
                break
    """
    with start(program, simulator=iron_simulator, preamble=PREAMBLE) as child:
        assert child.stdout.readline() == "leased\n"
        # So much that it waits for what the child has leased.
        with client(iron_simulator, ledger) as one:
            one.chat("Hello", max_tokens=19_300)
        assert finish(child) == "wanted True\n"


def test_the_lease_of_a_killed_process_is_told_when_it_is_settled(iron_simulator, ledger, caplog):
    iron_simulator.set_rules(
        [{"when": {"text": "stall"}, "fault": {"kind": "stall", "at": "before_headers"}}]
    )
    program = """
    one = client("0.01")
    one.chat("Hello", max_tokens=50)
    one.chat("stall", max_tokens=300)
    """
    caplog.set_level(logging.INFO, "iron_sdk")
    with start(program, simulator=iron_simulator, preamble=PREAMBLE) as child:
        until_blocking(in_progress(iron_simulator, 1))
        child.kill()
        child.communicate()
    with iron.events() as events, client(iron_simulator, ledger) as one:
        one.chat("Hello", max_tokens=50)
        told = first(events, iron.LeaseRecovered)
    assert (told.budget, told.window, told.pid) == ("team", "daily", child.pid)
    assert told.in_doubt > 0
    assert told.returned > 0
    assert told.lost == 0
    assert told.settled + told.in_doubt + told.returned <= told.amount
    until_blocking(lambda: any("a process died with a lease" in line for line in caplog.messages))
    (record,) = (record for record in caplog.records if "a process died" in record.message)
    assert record.levelno == logging.INFO


def test_a_lease_whose_journal_is_deleted_is_told_to_be_lost(iron_simulator, ledger, caplog):
    caplog.set_level(logging.ERROR, "iron_sdk")
    with iron.events() as events, client(iron_simulator, ledger) as one:
        one.chat("Hello", max_tokens=50)
        lease = first(events, iron.LeaseTaken)
        for journal in ledger.with_name("ledger.db-journals").iterdir():
            journal.unlink()
        with start(
            'client("0.01").chat("Hello", max_tokens=50)', simulator=iron_simulator, preamble=PREAMBLE
        ) as child:
            finish(child)
        one.chat("Hello", max_tokens=50)
        lost = first(events, iron.LeaseLost)
    assert (lost.lease_id, lost.budget, lost.amount) == (lease.lease_id, "team", lease.amount)
    until_blocking(lambda: any("a lease became a loss" in line for line in caplog.messages))
