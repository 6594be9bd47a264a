"""What `iron router` writes and answers holds no key, no token and no text of others' calls."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request

import pytest
from canaries import CANARIES, leaks
from command import environment, iron, running

from iron_sdk.testing import Simulator

REFUSED = [("quote 400", 400), ("quote 401", 502), ("quote 429", 429), ("malformed", 502)]


def replies():
    quoted = f"no: {CANARIES['key']} {CANARIES['header']}"
    statuses = [
        {
            "when": {"text": f"quote {status}"},
            "fault": {"kind": "status", "status": status, "message": quoted},
        }
        for status in (400, 401, 429)
    ]
    malformed = {
        "when": {"text": "malformed"},
        "fault": {"kind": "malformed_json"},
        "reply": {"text": quoted},
    }
    return [*statuses, malformed, {"reply": {"text": CANARIES["reply"]}}]


def ask(url, token, text):
    """Ask the router; give the status and every byte of the answer."""
    body = {"model": "openai/gpt-6-luna", "messages": [{"role": "user", "content": text}]}
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, str(answer.headers).encode() + answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, str(refusal.headers).encode() + refusal.read()


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    """Run a router through calls of each sort; give its token, its answers and all that it wrote."""
    place = tmp_path_factory.mktemp("router")
    token, _, lines = iron("router", "token", "ci").stdout.partition("\n\n")
    config = place / "iron.toml"
    config.write_text(
        f"""
        retry.max_attempts = 1
        router.listen = "127.0.0.1:0"
        audit.directory = {json.dumps(str(place / "log"))}
        providers.openai.headers = {{x-team = {json.dumps(CANARIES["header"])}}}
        policy.rules = [{{name = "keys", what = ["API_KEY"], action = "block"}}]
        """
        + lines,
        encoding="utf-8",
    )
    asked = [CANARIES["prompt"], CANARIES["secret"], *(f"{text} {CANARIES['prompt']}" for text, _ in REFUSED)]
    with Simulator(rules=replies(), api_key=CANARIES["key"]) as simulator:
        env = environment(OPENAI_BASE_URL=simulator.url, OPENAI_API_KEY=CANARIES["key"])
        with running("router", "--config", str(config), env=env) as process:
            url = process.stdout.readline().decode().strip()
            answers = {text: ask(url, token, text) for text in asked}
            answers["no token"] = ask(url, token[:-1], CANARIES["prompt"])
            process.send_signal(signal.SIGTERM)
            shown, told = process.communicate(timeout=30)
        assert process.returncode == 0
        sent = json.dumps(simulator.requests(), ensure_ascii=False, default=str)
    written = {"stdout": shown, "stderr": told}
    files = (file for file in place.rglob("*") if file.is_file() and file != config)
    written |= {str(file.relative_to(place)): file.read_bytes() for file in files}
    return token, answers, written, sent


def test_what_was_looked_for_was_there(routed):
    _, answers, written, sent = routed
    assert leaks(sent.encode()) >= {"prompt"}
    assert CANARIES["reply"].encode() in answers[CANARIES["prompt"]][1]
    assert answers[CANARIES["secret"]][0] == 400
    assert answers["no token"][0] == 401
    for text, status in REFUSED:
        assert answers[f"{text} {CANARIES['prompt']}"][0] == status, text
    assert b"no: *** ***" in answers[f"quote 400 {CANARIES['prompt']}"][1]
    assert any(name.startswith("log") for name in written)


def test_no_answer_holds_a_key(routed):
    token, answers, _, _ = routed
    for text, (_, answer) in answers.items():
        found = leaks(answer) - ({"reply"} if text == CANARIES["prompt"] else set())
        assert not found, text
        assert token[:-1].encode() not in answer, text


def test_nothing_of_it_was_written(routed):
    token, _, written, _ = routed
    assert not {page: names for page, data in written.items() if (names := leaks(data))}
    assert not [page for page, data in written.items() if token[:-1].encode() in data]
