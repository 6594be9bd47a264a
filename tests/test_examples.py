"""examples/: each runs by itself without a key, and calls the provider with one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPMessage

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
# Run by a server; the others run to their end by themselves.
SERVICE = "fastapi_app"
PROGRAMS = [example for example in EXAMPLES if example.stem != SERVICE]
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


def test_agents_are_held_to_rules_of_their_own(tmp_path):
    printed = run("agents_and_policies.py", tmp_path)
    assert printed.startswith(
        "planner: redact CREDIT_CARD in input\n"
        "support: mask CREDIT_CARD in input\n"
        "intern-1: refused by rule 'interns'\n"
        "planner: redact CREDIT_CARD in input\n"
    )


def test_pseudonyms_keep_a_customer_from_the_provider_and_the_web(tmp_path):
    printed = run("pseudonyms.py", tmp_path)
    assert printed.startswith(
        "web_search: {'query': 'charged twice [EMAIL_ADDRESS]'}\n"
        "send_mail: {'to': 'jane.doe@example.org', 'text': 'We look into it.'}\n"
        "I have written to **jane.doe@example.org**.\n"
        "The provider saw [EMAIL_ADDRESS_1]: True\n"
        "The provider saw the address: False\n"
    )


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


def test_guarded_agent_is_refused_until_it_does_what_it_may(tmp_path):
    printed = run("guarded_agent.py", tmp_path)
    refused = re.findall(r'^rule "(.+)" refuses the tool "refund": ', printed, re.MULTILINE)
    assert refused == ["tools.schemas.refund", "tools.require_approval", "tools.limits.refund"]
    assert re.findall(r"^may support call refund for (\d+) USD\?$", printed, re.MULTILINE) == ["40", "20"]
    assert printed.count("are on their way\n") == 1
    assert "20 USD are on their way to you.\n" in printed


def test_audited_finds_what_was_tidied_up(tmp_path):
    printed = run("audited.py", tmp_path)
    assert re.search(r"^tea\? +answered for [\d.]+ USD$", printed, re.MULTILINE)
    assert re.search(r"^1111 +ContentBlockedError$", printed, re.MULTILINE)
    assert re.search(r"^  refused +1$", printed, re.MULTILINE)
    _, stats, sound, tidied = printed.split("$ iron audit ")
    assert stats.startswith("stats\n3 calls")
    assert "sound\nexit code 0" in sound
    assert (
        re.search(r"comes too early: record \d before it missing", tidied) or "missing at the end" in tidied
    )
    assert "exit code 3\n<Budget" in tidied


def test_structured_output_is_repaired_where_that_is_paid_for(tmp_path):
    printed = run("structured_output.py", tmp_path)
    assert re.search(r"^1 repairs: invalid for [\d.]+ USD$", printed, re.MULTILINE)
    assert '  inhabitants: the value is not of type "integer"\n' in printed
    city = re.escape("City(name='Oslo', inhabitants=717710)")
    assert re.search(rf"^0 repairs: {city} for [\d.]+ USD, 1 requests$", printed, re.MULTILINE)
    assert re.search(rf"^2 repairs: {city} for [\d.]+ USD, 3 requests$", printed, re.MULTILINE)


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


def test_batch_with_progress_answers_every_question_in_spite_of_failures(tmp_path):
    printed = run("batch_with_progress.py", tmp_path)
    assert printed.startswith("36 of 36 answered, the first of them: echo: What is 2 times 2?\n")


def test_batch_with_progress_draws_its_bar_for_whoever_watches(tmp_path):
    reader, writer = os.openpty()
    subprocess.run(
        [sys.executable, str(EXAMPLES[0].parent / "batch_with_progress.py")],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writer,
        check=True,
    )
    os.close(writer)
    drawn = b""
    # Reading from a terminal whose other end is closed fails once all is read.
    with contextlib.suppress(OSError):
        while piece := os.read(reader, 65_536):
            drawn += piece
    os.close(reader)
    bars = drawn.decode().replace("\r\n", "").split("\r")
    assert re.match("█{30} 36/36  0\\.0001[0-9]* USD  [1-9][0-9]* retries", bars[-1]), bars[-1]
    assert any(re.match("█+·+ \\d+/36  ", bar) for bar in bars)


@contextlib.contextmanager
def serving(directory: Path, **environment: str) -> Iterator[int]:
    """Serve the web service with two workers: the port."""
    options = ["--app-dir", str(EXAMPLES[0].parent), "--workers", "2", "--port", "0"]
    server = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "uvicorn", f"{SERVICE}:app", *options],
        cwd=directory,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert server.stderr
    log = ""
    while log.count("startup complete") < 2:
        line = server.stderr.readline()
        assert line, log
        log += line
    told = re.search(r"running on http://127\.0\.0\.1:(\d+)", log)
    assert told, log
    # A worker has started up before it listens.
    while True:
        with (
            contextlib.suppress(ConnectionRefusedError),
            socket.create_connection(("127.0.0.1", int(told[1]))),
        ):
            break
    # Drained, or the workers wait for room in the pipe.
    rest = threading.Thread(target=server.stderr.read)
    rest.start()
    try:
        yield int(told[1])
    finally:
        server.send_signal(signal.SIGINT)
        ended = server.wait(30)
        rest.join()
        server.stderr.close()
    assert ended == 0


class Answer(NamedTuple):
    status: int
    headers: HTTPMessage
    body: str

    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


def ask(port: int, method: str, path: str, body: str = "", **headers: str) -> Answer:
    """Ask on a connection of its own, which whichever worker is free takes."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body, headers)
        with connection.getresponse() as response:
            return Answer(response.status, response.headers, response.read().decode())


def post(port: int, path: str, prompt: str, tenant: str) -> Answer:
    headers = {"x-tenant": tenant, "content-type": "application/json"}
    return ask(port, "POST", path, json.dumps({"prompt": prompt}), **headers)


def test_the_service_answers_streams_refuses_and_has_one_client_a_process(iron_simulator, tmp_path):
    iron_simulator.set_rules(
        [
            {"when": {"text": "busy"}, "fault": {"kind": "status", "status": 429, "retry_after": 700}},
            {"when": {"text": "no"}, "fault": {"kind": "status", "status": 400}},
            {"when": {"text": "long"}, "reply": {"output_tokens": 200}},
        ]
    )
    key = {"OPENAI_API_KEY": "sk-0123456789", "OPENAI_BASE_URL": iron_simulator.url}
    with serving(tmp_path, **key) as port:
        answer = post(port, "/chat", "Hello", "a")
        told = answer.json()
        assert (answer.status, told["text"]) == (200, "echo: Hello")
        assert Decimal(told["cost"]) + Decimal(told["remaining"]) <= Decimal("0.001")

        answer = post(port, "/stream", "Hello", "b")
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        *events, end, _ = answer.body.split("\n\n")
        chunks = [json.loads(event.removeprefix("data: ")) for event in events]
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "echo: Hello"
        assert end == "data: [DONE]"

        for path in ("/chat", "/stream"):
            while (answer := post(port, path, "long", f"spender of {path}")).status == 200:
                pass
            assert (answer.status, answer.json()["code"]) == (402, "budget_exceeded")
        answer = post(port, "/chat", "no", "c")
        assert (answer.status, answer.json()["code"]) == (502, "upstream_status")
        assert ask(port, "POST", "/chat", "{}").status == 422
        answer = post(port, "/chat", "busy", "c")
        assert (answer.status, answer.json()["code"]) == (429, "rate_limited")
        assert int(answer.headers["retry-after"]) > 600

        calls: dict[int, int] = {}
        while len(calls) < 2:
            stats = ask(port, "GET", "/stats").json()
            calls[stats["process"]] = stats["calls"]
        assert sum(calls.values()) >= 6
    asked = iron_simulator.requests()
    assert {request["headers"]["authorization"] for request in asked} == {"Bearer ...6789"}


def test_the_service_runs_without_a_key(tmp_path):
    with serving(tmp_path) as port:
        assert post(port, "/chat", "Hello", "a").json()["text"] == "echo: Hello"


@pytest.mark.parametrize("example", PROGRAMS, ids=lambda example: example.name)
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
    assert len(example.read_text(encoding="utf-8").splitlines()) < 100
