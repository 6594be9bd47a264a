"""examples/: each runs by itself without a key, and calls the provider with one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
MODEL = "gpt-6-luna"


def run(name: str, directory: Path, **environment: str) -> str:
    """Run an example as a user does, away from any configuration: what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES[0].parent / name)],
        cwd=directory,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def last_budget(printed: str) -> tuple[Decimal, Decimal, Decimal]:
    """Read the budget that an example prints at its end: spent, held and limit."""
    told = re.search(r"<Budget '\w+': ([\d.]+) spent, ([\d.]+) held of ([\d.]+) USD>\n$", printed)
    assert told, printed
    spent, held, limit = map(Decimal, told.groups())
    return spent, held, limit


def test_agent_with_tools_calls_both_tools_and_answers(tmp_path):
    printed = run("agent_with_tools.py", tmp_path)
    assert 'temperature({"city":"Oslo"}) -> 4.0 degrees\n' in printed
    assert 'temperature({"city":"Rome"}) -> 18.5 degrees\n' in printed
    assert "In Rome, by 14.5 degrees.\n" in printed


def test_research_swarm_keeps_to_both_budgets_and_tells_who_was_stopped(tmp_path):
    printed = run("research_swarm.py", tmp_path)
    agents = re.findall(r"^(\w+) +(\d) answers  ([\d.]+) USD  (.+)$", printed, re.MULTILINE)
    ends = [end for _, _, _, end in agents]
    assert len(agents) == 10
    assert ("coffee", "stopped by the budget of coffee") in [(agent[0], agent[3]) for agent in agents]
    assert "stopped by the budget of swarm" in ends
    assert all((answers == "4") == (end == "finished") for _, answers, _, end in agents)
    assert all(Decimal(spent) <= Decimal("0.0005") for _, _, spent, _ in agents)
    assert last_budget(printed)[0] == sum(Decimal(spent) for _, _, spent, _ in agents)


def test_streaming_shows_the_whole_and_stops_at_the_first_line(tmp_path):
    printed = run("streaming.py", tmp_path)
    assert "steam writes on the window pane,\n" in printed
    assert re.search(r"^-- \d+ tokens, [\d.]+ USD, settled$", printed, re.MULTILINE)
    assert "first line only: Tea leaves turn and fall,\n" in printed


def test_sync_batch_judges_every_review_in_spite_of_failures(tmp_path):
    printed = run("sync_batch.py", tmp_path)
    moods = re.search(r"^8 of 8 judged: \{(.+)\}$", printed, re.MULTILINE)
    assert moods
    assert sum(map(int, re.findall(r"\d+", moods[1]))) == 8


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_each_calls_the_provider_when_there_is_a_key(example, iron_simulator, tmp_path):
    iron_simulator.set_rules([{"reply": {"text": '{"mood": "happy", "reason": "tea"}\n'}}])
    spent, held, limit = last_budget(
        run(example.name, tmp_path, OPENAI_API_KEY="sk-0123456789", OPENAI_BASE_URL=iron_simulator.url)
    )
    assert 0 < spent <= limit
    assert held == 0
    asked = iron_simulator.requests()
    assert {(request["headers"]["authorization"], request["body"]["model"]) for request in asked} == {
        ("Bearer ...6789", MODEL)
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_each_is_short(example):
    assert len(example.read_text(encoding="utf-8").splitlines()) < 80
