"""The audit log, as a program writes it and `iron audit` reads it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
from contextlib import suppress
from decimal import Decimal

import pytest
from child import run
from command import environment, iron, running

import iron_sdk

CARD = "4111 1111 1111 1111"
KEY = "AKIAQ3EGRZ2VMX7LTWHB"
RULES = [
    {"name": "cards", "what": ["CREDIT_CARD"], "action": "redact"},
    {"name": "keys", "what": ["API_KEY"], "action": "block"},
]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def audited(iron_simulator, log):
    def audited(rules=RULES, **audit):
        settings = {
            "audit": {"directory": str(log), "sync": "never", **audit},
            "policy": {"rules": list(rules)},
        }
        return iron_sdk.Client(
            settings, base_url=iron_simulator.url, api_key="sk-simulated", model="openai/gpt-6-luna"
        )

    return audited


def records(log, kind=None):
    lines = "".join(file.read_text() for file in sorted(log.glob("*.jsonl"))).splitlines()
    return [record for record in map(json.loads, lines) if kind in {None, record["kind"]}]


async def test_every_call_is_there_when_its_client_is_closed(audited, log):
    async with audited(rules=()) as client:
        replies = await asyncio.gather(*(client.chat(f"Hello {n}", max_tokens=20) for n in range(20)))
        async with client.stream("Hello", max_tokens=20) as stream:
            replies.append(await stream.reply())
        with pytest.raises(iron_sdk.BudgetExceededError):
            await client.chat("Hello", max_cost="0.000000001")
        task = asyncio.ensure_future(client.chat("Hello", max_tokens=20))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    calls = {call["request_id"]: call for call in records(log, "call")}
    for reply in replies:
        call = calls.pop(reply.request_id)
        assert Decimal(call["cost_usd"]) == reply.cost
        assert call["usage"]["input_tokens"] == reply.usage.input_tokens
        assert (call["outcome"], call["attempts"]) == ("answered", 1)
    others = sorted(call["outcome"] for call in calls.values())
    assert others[-1] == "refused"
    assert iron("audit", "verify", log).stdout.endswith("sound\n")


async def test_nothing_that_a_rule_found_is_in_the_log(audited, log, iron_simulator):
    async with audited(content="full") as client:
        await client.chat(f"Charge {CARD}")
        with pytest.raises(iron_sdk.ContentBlockedError):
            await client.chat(f"Use {KEY}")
        iron_simulator.set_rules([{"reply": {"text": f"{KEY} or {CARD}"}}])
        with pytest.raises(iron_sdk.ContentBlockedError):
            await client.chat("Which?")
    text = "".join(file.read_text(errors="replace") for file in log.iterdir())
    assert CARD not in text
    assert KEY not in text
    assert "sk-simulated" not in text
    assert records(log, "call")[0]["prompt"]["messages"][0]["content"] == "Charge [CREDIT_CARD]"
    assert [found["action"] for found in records(log, "finding")].count("block") == 2


async def test_a_log_that_cannot_be_written_refuses_calls(audited, log, iron_simulator):
    log.write_text("no directory")
    async with audited() as client:
        with pytest.raises(iron_sdk.AuditError, match=r"the audit log in .* cannot be written") as refused:
            await client.chat("Hello")
        assert refused.value.code == "audit"
        assert refused.value.__cause__ is not None
    assert iron_simulator.requests() == []


async def test_only_its_user_reads_it(audited, log):
    async with audited() as client:
        await client.chat("Hello")
    assert stat.S_IMODE(log.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in log.iterdir()} == {0o600}


def test_what_was_told_is_written_when_the_program_ends(iron_simulator, log):
    program = f"""
    c = iron.SyncClient(
        {{"audit": {{"directory": {str(log)!r}}}}}, base_url=URL, api_key="k", model="openai/gpt-6-luna"
    )
    c.chat("Hello")
    """
    run(program, simulator=iron_simulator)
    assert [record["kind"] for record in records(log)] == ["segment", "opened", "call", "closed"]


def test_a_client_made_before_a_fork_is_written_by_both(iron_simulator, log):
    program = f"""
    c = iron.SyncClient(
        {{"audit": {{"directory": {str(log)!r}}}}}, base_url=URL, api_key="k", model="openai/gpt-6-luna"
    )
    child = os.fork()
    c.chat("Hello")
    if child:
        assert os.waitpid(child, 0)[1] == 0
    """
    run(program, simulator=iron_simulator)
    calls = records(log, "call")
    assert len(calls) == 2
    assert len({record["pid"] for record in records(log, "opened")}) == 2
    assert iron("audit", "verify", log).returncode == 0


@pytest.fixture
def written(audited):
    async def work():
        async with audited() as client:
            replies = [await client.chat(f"Hello {n}", max_tokens=20) for n in range(5)]
            with pytest.raises(iron_sdk.ContentBlockedError):
                await client.chat(KEY)
            return replies

    return asyncio.run(work())


def tamper(log, change):
    (file,) = log.glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    change(lines)
    file.write_bytes(b"".join(lines))
    return file


@pytest.mark.parametrize(
    ("change", "line", "told"),
    [
        (
            lambda lines: lines.__setitem__(3, lines[3].replace(b"answered", b"ANSWERED")),
            4,
            "record 4 was altered",
        ),
        (lambda lines: lines.pop(3), 4, "record 5 comes too early: record 4 before it missing"),
        (lambda lines: lines.insert(3, lines.pop(4)), 4, "record 5 is not in its place"),
        (lambda lines: lines.insert(4, lines[3]), 5, "record 4 stands a second time"),
        (lambda lines: lines.insert(3, b"{}\n"), 4, "a line that is no record"),
    ],
    ids=["altered", "dropped", "moved", "copied", "inserted"],
)
@pytest.mark.usefixtures("written")
def test_verify_names_file_line_and_record(log, change, line, told):
    file = tamper(log, change)
    done = iron("audit", "verify", log)
    assert done.returncode == 3
    assert f"{file}:{line}: {told}" in done.stdout
    assert done.stdout.endswith("\n1 problem\n")
    (problem,) = json.loads(iron("audit", "verify", "--json", log).stdout)["problems"]
    assert (problem["file"], problem["line"]) == (str(file), line)


@pytest.mark.usefixtures("written")
def test_a_head_that_was_kept_tells_of_a_log_that_was_cut_off(log):
    done = iron("audit", "verify", log)
    head = re.search(r"head (\w{64})", done.stdout)
    assert head
    assert iron("audit", "verify", log, "--head", head[1]).returncode == 0
    tamper(log, lambda lines: lines.pop())
    done = iron("audit", "verify", log, "--head", head[1])
    assert "missing at the end" in done.stdout
    assert f"no record has the hash {head[1]}" in done.stdout
    assert iron("audit", "verify", log, "--head", "zz").returncode == 2


def test_a_key_seals_the_head(log, monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIT_KEY", "a long secret")
    settings = {"audit": {"directory": str(log), "key_env": "AUDIT_KEY"}}
    with iron_sdk.SyncClient(settings) as client, pytest.raises(iron_sdk.ConfigError):
        client.chat("Hello", model="nobody/nothing")
    config = tmp_path / "iron.toml"
    config.write_text(f'[audit]\ndirectory = "{log}"\nkey_env = "AUDIT_KEY"\n')
    verify = ("audit", "verify", "--config", config)
    done = iron(*verify, env=environment(AUDIT_KEY="a long secret"))
    assert (done.returncode, ", sealed, " in done.stdout) == (0, True), done.stdout
    done = iron(*verify, env=environment(AUDIT_KEY="another"))
    assert (done.returncode, "not sealed by this key" in done.stdout) == (3, True)
    assert not (log / "content.key").exists()
    monkeypatch.delenv("AUDIT_KEY")
    with pytest.raises(iron_sdk.ConfigError, match="AUDIT_KEY, which is not set"):
        iron_sdk.SyncClient(settings)


def test_show_filters_and_stats_sum_up(written, log):
    show = iron("audit", "show", log, "--request-id", written[2].request_id).stdout
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  call      answered  chat openai/gpt-6-luna", show)
    assert show.count("\n") == 1
    shown = iron("audit", "show", "--json", log, "--code", "content_blocked").stdout
    found = [json.loads(line) for line in shown.splitlines()]
    assert [record["outcome"] for record in found] == ["refused"]
    assert iron("audit", "show", log, "--tail", "2").stdout.count("\n") == 2
    assert iron("audit", "show", log, "--since", "1h").stdout.count("\n") == len(records(log))
    assert iron("audit", "show", log, "--since", "9999-01-01").stdout == ""
    assert iron("audit", "show", log, "--agent", "nobody").stdout == ""
    sums = json.loads(iron("audit", "stats", "--json", log).stdout)
    assert (sums["calls"], sums["outcomes"]) == (6, {"answered": 5, "refused": 1})
    assert Decimal(sums["cost_usd"]) == sum(reply.cost for reply in written)
    assert (sums["entities"], sums["rules"]) == ({"API_KEY": 1}, {"keys (block)": 1})
    assert "openai/gpt-6-luna" in iron("audit", "stats", log).stdout


async def test_a_log_is_followed_into_new_files_and_new_chains(audited, log):
    def ids(follower, count):
        found = []
        while len(found) < count:
            record = json.loads(follower.stdout.readline())
            if record["kind"] == "call":
                found.append(record["request_id"])
        return found

    async with audited(rotate_bytes=4096) as client:
        before = [(await client.chat(f"before {n}")).request_id for n in range(3)]
    with running("audit", "show", "--json", "--follow", "--tail", "20", log) as follower:
        # What is there was flushed with its client.
        assert ids(follower, 3) == before
        async with audited(rotate_bytes=4096) as client:
            replies = [await client.chat(f"after {n}") for n in range(30)]
        told = ids(follower, len(replies))
        assert [told.count(reply.request_id) for reply in replies] == [1] * 30
        follower.send_signal(signal.SIGINT)
        assert follower.wait(timeout=20) == 130
        assert follower.stderr.read() == b""
    assert len(list(log.glob("*.jsonl"))) > 2


def test_a_log_that_is_not_there_is_told(tmp_path):
    done = iron("audit", "verify", tmp_path / "nothing")
    assert (done.returncode, "cannot be read" in done.stderr) == (1, True)
    done = iron("audit", "show", cwd=tmp_path, env={**environment(), "HOME": os.fspath(tmp_path)})
    assert "the configuration has no audit.directory: name the log" in done.stderr
