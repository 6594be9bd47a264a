"""A ledger file that cannot be used: calls are refused, unsent, and go on once it can be."""

from __future__ import annotations

import json
import sqlite3

import pytest
from child import finish, run, start
from command import iron as command
from waiting import in_progress, until_blocking

# A client that is held to the ledger at LEDGER, and what every program checks.
PREAMBLE = """
import decimal, os, resource, sys
import iron_sdk as iron

LEDGER = os.environ["LEDGER"]
costs = []

def client():
    budget = {"limit_usd": "0.01", "ledger": LEDGER, "name": "team"}
    url = os.environ["SIMULATOR_URL"]
    return iron.SyncClient({"budget": budget}, base_url=url, api_key="k", model="openai/gpt-6-luna")

def chat(one):
    costs.append(one.chat("Hello", max_tokens=50).cost)

def refused(call, *words):
    try:
        call()
    except iron.LedgerError as error:
        assert all(word in str(error) for word in (LEDGER, *words)), error
        return error
    raise AssertionError("not refused")
"""


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "state" / "ledger.db"
    path.parent.mkdir()
    monkeypatch.setenv("LEDGER", str(path))
    return path


def window(ledger):
    """Give the window of the one budget, of a file that is sound."""
    verified = command("budget", "verify", "--ledger", str(ledger))
    assert verified.returncode == 0, verified
    shown = command("budget", "show", "--json", "--ledger", str(ledger))
    return json.loads(shown.stdout)["budgets"][0]["windows"][0]


def test_a_full_disk_refuses_until_there_is_room(iron_simulator, ledger):
    """A limit on the size of files stands for the disk: the system refuses in the midst of any write."""
    run(
        """
        one = client()
        chat(one)
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        for size in (150, 24, 0):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, unlimited[1]))
            error = refused(lambda: [chat(one) for _ in range(9)], "ulimit -f")
            assert error.retryable
            assert one.budget.held == 0
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
            chat(one)
        assert one.budget.spent == sum(costs), (one.budget, costs)
        one.close()
        """,
        simulator=iron_simulator,
        preamble=PREAMBLE,
    )
    after = window(ledger)
    assert after["leases"] == []
    assert float(after["settled_usd"]) > 0
    assert (after["in_doubt"], after["losses"]) == ([], [])


def test_a_ledger_that_may_not_be_written_says_so(iron_simulator, ledger):
    run("one = client(); chat(one); one.close()", simulator=iron_simulator, preamble=PREAMBLE)
    before = window(ledger)
    nobody = """
    if os.getuid() == 0:
        os.setresuid(65534, 65534, 65534)
    refused(client, "this user")
    """
    everything = [ledger.parent, *ledger.parent.iterdir()]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    # Another user may come as far as that.
    for parent in ledger.parent.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    run(nobody, simulator=iron_simulator, preamble=PREAMBLE)
    for path in everything:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert window(ledger) == before
    assert iron_simulator.stats()["requests"] == 1


def test_a_ledger_that_another_program_holds_is_waited_for_and_then_refused(iron_simulator, ledger):
    run("one = client(); chat(one); one.close()", simulator=iron_simulator, preamble=PREAMBLE)
    program = """
    one = client()
    print("open", flush=True)
    wait_for_go = sys.stdin.readline()
    error = refused(lambda: chat(one), "is locked by another program for longer than 5 s")
    assert error.retryable and one.budget.held == 0
    print("refused", flush=True)
    sys.stdin.readline()
    chat(one)
    one.close()
    """
    other = sqlite3.connect(ledger, isolation_level=None)
    with start(program, simulator=iron_simulator, preamble=PREAMBLE) as child:
        assert child.stdout.readline() == "open\n"
        other.execute("BEGIN IMMEDIATE")
        child.stdin.write("go\n")
        child.stdin.flush()
        assert child.stdout.readline() == "refused\n"
        other.execute("ROLLBACK")
        finish(child, go=True)
    other.close()
    assert window(ledger)["leases"] == []
    assert iron_simulator.stats()["requests"] == 2


def test_a_ledger_that_is_deleted_under_a_process_is_not_begun_anew_by_it(iron_simulator, ledger):
    run(
        """
        one = client()
        chat(one)
        os.rename(LEDGER, LEDGER + ".aside")
        larger = lambda: one.chat("Hello", max_tokens=4000)
        error = refused(larger, "was deleted while it was in use", "put it back")
        assert not error.retryable
        os.rename(LEDGER + ".aside", LEDGER)
        chat(one)
        assert one.budget.spent == sum(costs)
        one.close()
        """,
        simulator=iron_simulator,
        preamble=PREAMBLE,
    )
    assert window(ledger)["leases"] == []


def killed_in_a_call(iron_simulator):
    """Run a program until it has settled one call and sent another, and kill it."""
    stall = {"when": {"text": "stall"}, "fault": {"kind": "stall", "at": "before_headers"}}
    iron_simulator.set_rules([stall])
    program = "one = client(); chat(one); print(flush=True); one.chat('stall', max_tokens=1000)"
    with start(program, simulator=iron_simulator, preamble=PREAMBLE) as child:
        child.stdout.readline()
        until_blocking(in_progress(iron_simulator, 1))
        child.kill()
        child.communicate()


def test_an_operator_sees_and_settles_what_a_dead_process_has_left(iron_simulator, ledger):
    killed_in_a_call(iron_simulator)
    left = window(ledger)
    assert not any(lease["is_alive"] for lease in left["leases"])
    assert sum(float(lease["held_usd"]) for lease in left["leases"]) > 0
    shown = command("budget", "show", "--ledger", str(ledger)).stdout
    assert "team (lifetime)" in shown
    assert "dead, was pid" in shown
    released = command("budget", "release", "--ledger", str(ledger))
    assert "in doubt" in released.stdout, released
    doubt = window(ledger)["in_doubt"][0]
    done = command(
        "budget", "release", "--in-doubt", str(doubt["id"]), "--not-billed", "--ledger", str(ledger)
    )
    assert "was not billed" in done.stdout
    after = window(ledger)
    assert (after["leases"], after["in_doubt"], float(after["open_usd"])) == ([], [], 0)
    assert float(after["settled_usd"]) > 0


def test_an_operator_can_release_a_loss(iron_simulator, ledger):
    killed_in_a_call(iron_simulator)
    for journal in (ledger.parent / "ledger.db-journals").iterdir():
        journal.unlink()
    released = command("budget", "release", "--ledger", str(ledger))
    assert "loss" in released.stdout, released
    losses = window(ledger)["losses"]
    assert losses
    for loss in losses:
        assert not loss["may_live"]
        arguments = ("budget", "release", "--loss", str(loss["id"]), "--ledger", str(ledger))
        assert command(*arguments).returncode == 2, "it has to be confirmed"
        assert "USD given back" in command(*arguments, "--not-spent").stdout
        assert command(*arguments, "--not-spent").returncode == 1, "once"
    after = window(ledger)
    assert (after["losses"], float(after["loss_usd"])) == ([], 0)
    assert command("budget", "prune", "--keep", "1", "--ledger", str(ledger)).returncode == 0
    assert window(ledger) == after
