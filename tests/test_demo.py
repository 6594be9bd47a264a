"""`iron demo`: what it shows is true, adds up, and fits where it is shown."""

from __future__ import annotations

import io
import re
import signal
from collections import Counter
from decimal import Decimal
from types import SimpleNamespace

import pytest
from command import environment, iron, on_terminal, running

from iron_sdk._demo.screen import Screen
from iron_sdk._demo.summary import Summary

MONEY = r"\$(\d+\.\d{9})"


def figure(shown, label):
    return int(re.search(rf"^  {label} +([\d,]+)", shown, re.MULTILINE)[1].replace(",", ""))


def parts(shown, label):
    line = re.search(rf"^  {label} .*$", shown, re.MULTILINE)[0]
    found = re.findall(r"([\d,]+) (?:by )?([a-z]+)", line)
    return {name: int(count.replace(",", "")) for count, name in found}


@pytest.fixture(scope="module")
def piped():
    return iron("demo", "--agents", "320", "--seed", "3")


def test_it_ends_well(piped):
    assert piped.returncode == 0, piped.stdout + piped.stderr
    assert piped.stderr == ""
    assert "served ≤ settled ≤ limit" in piped.stdout


def test_calls_add_up(piped):
    shown = piped.stdout
    answered = parts(shown, "answered")
    assert figure(shown, "answered") == sum(answered[sort] for sort in ("plain", "streamed", "with"))
    assert all(answered[sort] > 0 for sort in ("plain", "streamed", "with"))
    refused = parts(shown, "refused")
    budgets = ("client", "research", "researcher")
    assert figure(shown, "refused") == sum(refused.get(name, 0) for name in budgets) > 0
    assert figure(shown, "at once") >= 300
    assert figure(shown, "retries") > 0
    assert figure(shown, "fallbacks") > 0
    assert figure(shown, "429s") > 0


def test_money_is_exact_and_within_the_limit(piped):
    served, settled, limit = (
        Decimal(re.search(rf"^  {name} +{MONEY}", piped.stdout, re.MULTILINE)[1])
        for name in ("served", "settled", "limit")
    )
    assert 0 < served <= settled <= limit
    # The budget cannot pay for all, so next to all of it is used.
    assert settled > limit * Decimal("0.9")


def test_overhead_percentiles_are_in_order(piped):
    shown = re.search(r"p50 ([\d,]+) µs · p95 ([\d,]+) µs · p99 ([\d,]+) µs", piped.stdout)
    p50, p95, p99 = (int(text.replace(",", "")) for text in shown.groups())
    assert 0 < p50 <= p95 <= p99


def test_piped_output_is_plain_and_80_columns_wide(piped):
    assert "\x1b" not in piped.stdout
    assert max(map(len, piped.stdout.splitlines())) <= 80


def test_a_budget_that_pays_for_nothing_refuses_everything():
    done = iron("demo", "--agents", "8", "--budget", "0.000000001")
    assert done.returncode == 0, done.stdout + done.stderr
    assert figure(done.stdout, "answered") == 0
    assert figure(done.stdout, "refused") > 0
    assert re.search(r"^  served +\$0\.000000000", done.stdout, re.MULTILINE)


def test_a_terminal_sees_progress_in_place():
    code, shown = on_terminal("demo", "--agents", "40")
    assert code == 0, shown
    assert re.search(r"\x1b\[\d+F\x1b\[J", shown)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    assert "in flight" in shown
    plain = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", shown)
    assert max(len(line.rstrip("\r")) for line in plain.splitlines()) <= 80


def test_a_terminal_without_colour_or_progress():
    env = environment(TERM="xterm", NO_COLOR="1")
    code, shown = on_terminal("demo", "--agents", "8", env=env)
    assert code == 0, shown
    assert not re.search(r"\x1b\[[\d;]*m", shown)
    code, shown = on_terminal("demo", "--agents", "8", "--no-progress", env=env)
    assert code == 0, shown
    assert "\x1b" not in shown


def test_ctrl_c_ends_it_without_a_traceback():
    with running("demo") as process:
        while b"flaky" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told == b""


def test_nobody_reading_is_no_error():
    with running("demo", "--agents", "8") as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, told = process.communicate(timeout=50)
    assert process.returncode == 141
    assert told == b""


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"served": "0.6"}, "served"),
        ({"spent": "1.1"}, "more than the limit"),
        ({"held": "0.1"}, "still held"),
        ({"excess": "too much"}, "while it ran"),
    ],
)
def test_an_invariant_that_fails_is_named(changed, what):
    fields = {"served": "0.4", "spent": "0.5", "held": "0", "limit": "1", **changed}
    money = {name: Decimal(fields[name]) for name in ("spent", "held", "limit")}
    counts = dict.fromkeys(("left", "chunks", "retries", "fallbacks", "most_in_flight", "looks"), 1)
    counters = {name: Counter() for name in ("answered", "refused", "failed")}
    tally = SimpleNamespace(**money, **counts, **counters, excess=fields.get("excess"), overhead=[])
    summary = Summary(tally, {"steady": Decimal(fields["served"])}, Counter(), 1.0)
    (broken,) = summary.broken
    assert what in broken
    shown = io.StringIO()
    summary.write(Screen(shown))
    assert broken in shown.getvalue()
