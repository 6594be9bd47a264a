"""Disks that are really full: small filesystems in memory, which only the superuser may mount."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys

import pytest
from command import iron as command

import iron_sdk as iron

SIZE_BYTES = 2 << 20


@pytest.fixture
def disk(tmp_path):
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("a small filesystem is mounted with Linux's mount(8)")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "iron-tests", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"only root with CAP_SYS_ADMIN may mount a small filesystem: {mounted.stderr.strip()}")
    yield place
    # Lazily: an object that is not collected yet may have a file of it open.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk):
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        for size in (4096, 1):
            while file.write(b"x" * size):
                pass
    return ballast


def open_client(simulator, **tables):
    return iron.SyncClient(tables, base_url=simulator.url, api_key="k", model="openai/gpt-6-luna")


def test_a_ledger_on_a_full_disk_refuses_until_there_is_room(iron_simulator, disk):
    ledger = disk / "ledger.db"
    budget = {"limit_usd": "0.01", "ledger": str(ledger), "name": "team"}
    with open_client(iron_simulator, budget=budget) as client:
        costs = [client.chat("Hello", max_tokens=50).cost]
        ballast = fill(disk)
        with pytest.raises(iron.LedgerError, match=r"the disk is full.*make room") as refused:
            # Each asks for more than one lease pays for, so that the next is wanted at once.
            costs.extend(client.chat("Hello", max_tokens=4_000).cost for _ in range(1_000))
        assert refused.value.retryable
        served = iron_simulator.stats()["requests"]
        with pytest.raises(iron.LedgerError):
            client.chat("Hello", max_tokens=12_000)
        assert iron_simulator.stats()["requests"] == served, "nothing is sent that cannot be written down"
        assert client.budget.held == 0
        ballast.unlink()
        costs.append(client.chat("Hello", max_tokens=4_000).cost)
        assert client.budget.spent == sum(costs)
    verified = command("budget", "verify", "--ledger", str(ledger))
    assert verified.returncode == 0, verified
    shown = json.loads(command("budget", "show", "--json", "--ledger", str(ledger)).stdout)
    window = shown["budgets"][0]["windows"][0]
    assert (window["leases"], window["in_doubt"], window["losses"]) == ([], [], [])


@pytest.mark.parametrize("sync", ["never", "always"])
def test_an_audit_log_on_a_full_disk_refuses_until_there_is_room(iron_simulator, disk, sync):
    log = disk / "audit"
    with open_client(iron_simulator, audit={"directory": str(log), "sync": sync}) as client:
        client.chat("Hello")
        ballast = fill(disk)
        with pytest.raises(iron.AuditError, match="the disk is full") as refused:
            for _ in range(1_000):
                client.chat("Hello")
        assert refused.value.retryable
        served = iron_simulator.stats()["requests"]
        with pytest.raises(iron.AuditError):
            client.chat("Hello")
        assert iron_simulator.stats()["requests"] == served
        ballast.unlink()
        reply = None
        while reply is None:
            # Until what was held back is written.
            with contextlib.suppress(iron.AuditError):
                reply = client.chat("Hello")
    verified = command("audit", "verify", str(log))
    assert verified.returncode == 0, verified
    lines = [line for file in sorted(log.rglob("*.jsonl")) for line in file.read_text().splitlines()]
    calls = [record for record in map(json.loads, lines) if record["kind"] == "call"]
    assert len(calls) == iron_simulator.stats()["requests"], "each that was sent is recorded"
    assert reply.request_id in {record["request_id"] for record in calls}
