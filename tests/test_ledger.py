"""Budgets in a ledger file: shared by processes, and kept when they die."""

from __future__ import annotations

from decimal import Decimal

import pytest
from child import finish, start
from waiting import in_progress, until, until_blocking

import iron_sdk as iron

# What every program begins with, beside what it has anyway: a client that is held to the ledger at LEDGER.
PREAMBLE = """
import asyncio, os, sys
import iron_sdk as iron

def client(limit):
    budget = {"limit_usd": limit, "ledger": os.environ["LEDGER"], "window": "daily", "name": "team"}
    url = os.environ["SIMULATOR_URL"]
    return iron.SyncClient({"budget": budget}, base_url=url, api_key="k", model="openai/gpt-6-luna")

def wait_for_go():
    assert sys.stdin.readline() == "go\\n"
"""


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("LEDGER", str(path))
    return path


def team(ledger, usd="0.01"):
    return iron.budget(usd, name="team", window="daily", ledger=ledger)


def test_two_processes_spend_one_budget(iron_simulator, ledger):
    program = """
    refused = 0
    with client("0.01") as one:
        for number in range(60):
            try:
                one.chat(f"number {number}", max_tokens=400)
            except iron.BudgetExceededError as refusal:
                refused += 1
                assert refusal.budget == "team"
    print(refused)
    """
    with (
        start(program, simulator=iron_simulator, preamble=PREAMBLE) as one,
        start(program, simulator=iron_simulator, preamble=PREAMBLE) as other,
    ):
        refused = int(finish(one)) + int(finish(other))
    budget = team(ledger)
    served = iron_simulator.stats()["requests"]
    assert served + refused == 120
    assert served > 0
    assert budget.held == 0
    assert 0 < budget.spent <= budget.limit
    assert budget.remaining == budget.limit - budget.spent


def test_a_budget_outlives_the_process(iron_simulator, ledger):
    program = """
    with client("0.01") as one:
        print(one.chat("Hello", max_tokens=50).cost)
        assert one.budget.spent > 0
    """
    costs = []
    for _ in range(2):
        with start(program, simulator=iron_simulator, preamble=PREAMBLE) as child:
            costs.append(Decimal(finish(child)))
    budget = team(ledger)
    assert budget.spent == sum(costs) > 0
    assert f"{budget.spent} spent" in repr(budget)


def test_what_a_killed_process_had_under_way_is_in_doubt(iron_simulator, ledger):
    iron_simulator.set_rules(
        [{"when": {"text": "stall"}, "fault": {"kind": "stall", "at": "before_headers"}}]
    )
    program = """
    one = client("0.01")
    print(one.chat("Hello", max_tokens=50).cost, flush=True)
    one.chat("stall", max_tokens=1000)
    """
    with start(program, simulator=iron_simulator, preamble=PREAMBLE) as child:
        cost = Decimal(child.stdout.readline())
        until_blocking(in_progress(iron_simulator, 1))
        child.kill()
        child.communicate()
    # All that is left can be had at once: what the dead process had leased comes back when it is wanted.
    budget = team(ledger)
    with start(
        """
        one = client("0.01")
        try:
            one.chat("Hello", max_tokens=100_000)
        except iron.BudgetExceededError as refusal:
            print(refusal.settled)
            assert refusal.held == 0 and not refusal.retryable, refusal
        """,
        simulator=iron_simulator,
        preamble=PREAMBLE,
    ) as child:
        spent = Decimal(finish(child))
    assert spent > cost + Decimal("0.0005"), "the whole reservation of the call that stalled"
    assert team(ledger).spent == spent
    assert team(ledger).remaining == budget.limit - spent


async def test_a_block_can_be_shared(iron_client, ledger):
    with team(ledger, "0.5") as budget, iron.budget("1") as outer:
        reply = await iron_client.chat("Hello", max_tokens=50)
    assert budget.spent == outer.spent == reply.cost
    # Another name for the same budget, in this process too.
    assert team(ledger, "0.5").spent == reply.cost
    with iron.budget("0.5", name="other", window="daily", ledger=ledger) as other:
        assert other.spent == 0


async def test_the_limit_given_last_holds(iron_client, ledger):
    budget = team(ledger, "0.5")
    team(ledger, "0.000001")
    with budget, pytest.raises(iron.BudgetExceededError, match=r"limit 0\.000001"):
        await iron_client.chat("Hello", max_tokens=1000)
    budget.set_limit("0.5")
    with budget:
        reply = await iron_client.chat("Hello", max_tokens=1000)
    await until(lambda: team(ledger, "0.5").spent == reply.cost)


def test_wrong_ledgers_say_what_is_wrong(tmp_path):
    (tmp_path / "text").write_text("no database, but long enough to be looked at as one" * 20)
    with pytest.raises(iron.LedgerError, match="is damaged or no ledger") as refused:
        iron.budget("1", ledger=tmp_path / "text")
    assert not refused.value.retryable
    assert refused.value.__cause__ is not None
    with pytest.raises(iron.LedgerError, match="cannot be used"):
        iron.Client({"budget": {"limit_usd": "1", "ledger": str(tmp_path / "text" / "ledger.db")}})
    with pytest.raises(iron.ConfigError, match='window is "hourly"; give one of lifetime, monthly'):
        iron.budget("1", window="hourly")
    with pytest.raises(iron.ConfigError, match=r"budget\.ledger is the relative path"):
        iron.Client({"budget": {"limit_usd": "1", "ledger": "ledger.db"}})


def test_the_usual_place_is_among_the_states_of_programs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    iron.budget("1", window="weekly")
    assert (tmp_path / "iron/ledger.db").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("IRON_BUDGET_LEDGER", str(tmp_path / "mine.db"))
    iron.budget("1", window="weekly")
    assert (tmp_path / "mine.db").exists()


def test_before_its_first_call_a_process_can_fork(iron_simulator, ledger):
    program = """
    one = client("0.01")
    pid = os.fork()
    cost = one.chat("Hello", max_tokens=50).cost
    if pid == 0:
        one.close()
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    print(cost)
    one.close()
    """
    with start(program, simulator=iron_simulator, preamble=PREAMBLE) as child:
        cost = Decimal(finish(child))
    assert team(ledger).spent == 2 * cost


def test_a_forked_child_does_not_spend_the_lease_of_its_parent(iron_simulator, ledger):
    program = """
    one = client("0.01")
    one.chat("Hello", max_tokens=50)
    pid = os.fork()
    if pid == 0:
        try:
            one.chat("Hello", max_tokens=50)
        except iron.ForkedProcessError:
            sys.exit(0)
        sys.exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    one.chat("Hello", max_tokens=50)
    print(one.budget.spent)
    """
    with start(program, simulator=iron_simulator, preamble=PREAMBLE) as child:
        spent = Decimal(finish(child))
    assert iron_simulator.stats()["requests"] == 2
    assert team(ledger).spent == spent
