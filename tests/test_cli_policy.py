"""`iron policy test`: what it shows, in words and as JSON, and what it exits with."""

# ruff: noqa: RUF001 - full-width digits are what is tested

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command import iron

ROOT = Path(__file__).parent.parent
KEY = "AKIAQ3EGRZ2VMX7LTWHB"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_shows_what_the_command_prints():
    page = (ROOT / "docs/detection.md").read_text(encoding="utf-8")
    shown = re.search(r'```sh\niron policy test "(.*)"\n```\n\n```text\n(.*?)```', page, re.DOTALL)
    assert shown
    done = iron("policy", "test", shown[1])
    assert (done.returncode, done.stdout) == (0, shown[2])
    assert "recommended" in done.stderr


def test_a_blocked_text_exits_with_three_and_is_not_repeated():
    done = iron("policy", "test", f"deploy with {KEY}")
    assert done.returncode == 3
    assert 'blocked by rule "secrets" for API_KEY' in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_json_has_byte_spans_of_the_original(folder):
    text = "Größe: ４１１１ 1111 1111 1111 ✓"
    (folder / "text").write_text(text, encoding="utf-8")
    done = json.loads(iron("policy", "test", "--json", "--file", "text").stdout)
    (finding,) = done["findings"]
    assert text.encode()[finding["start"] : finding["end"]].decode() == "４１１１ 1111 1111 1111"
    assert done["text"] == "Größe: [CREDIT_CARD] ✓"
    assert done["recommended"]


def test_configured_rules_stand_in_for_the_recommended_ones(folder):
    (folder / "iron.toml").write_text(
        '[policy.keywords]\nnames = ["Nightjar"]\n\n'
        '[[policy.rules]]\nname = "quiet"\nwhat = ["*"]\ndirection = ["output"]\naction = "allow"\n\n'
        '[[policy.rules]]\nname = "projects"\nwhat = ["keyword:names"]\naction = "redact"\n\n'
        '[[policy.rules]]\nname = "late"\nwhat = ["keyword:names"]\naction = "block"\n',
        encoding="utf-8",
    )
    asked = ("policy", "test", "--json", "--explain", f"nightjar and {KEY}")
    done = json.loads(iron(*asked).stdout)
    assert done["text"] == f"[keyword:names] and {KEY}"
    assert [f["rule"] for f in done["findings"]] == ["projects"]
    assert 'rule "late" (block) can never decide' in done["warnings"][0]
    assert json.loads(iron(*asked, "--direction", "output").stdout)["text"] == f"nightjar and {KEY}"


def test_a_wrong_rule_is_named_with_its_place(folder):
    (folder / "iron.toml").write_text(
        '[[policy.rules]]\nwhat = ["EMAIL"]\naction = "log"\n', encoding="utf-8"
    )
    done = iron("policy", "test", "Hello")
    assert done.returncode == 1
    assert "policy.rules[0].what: unknown entity" in done.stderr


def test_who_asks_which_model_and_tool_decides(folder):
    (folder / "iron.toml").write_text(
        '[models.fast]\nupstreams = ["openai/gpt-6-luna"]\n\n'
        '[[policy.rules]]\nname = "interns"\nagents = ["intern-*"]\n'
        'not_models = ["ollama/*"]\naction = "block"\n\n'
        '[[policy.rules]]\nname = "web"\nwhat = ["pii"]\ntags = ["eu"]\n'
        'tools = ["web_*"]\naction = "redact"\n',
        encoding="utf-8",
    )
    refused = iron("policy", "test", "--agent", "intern-1", "--model", "fast", "Hello")
    assert refused.returncode == 3
    assert 'agent "intern-1" may not use "openai/gpt-6-luna", an upstream of "fast"' in refused.stdout
    asked = (
        "policy",
        "test",
        "--json",
        "--explain",
        "--direction",
        "tool-results",
        "--tag",
        "eu",
        "jane@example.org",
    )
    assert json.loads(iron(*asked, "--tool", "web_search").stdout)["text"] == "[EMAIL_ADDRESS]"
    (other,) = json.loads(iron(*asked, "--tool", "shell").stdout)["findings"]
    assert other["passed_over"] == [{"rule": "web", "action": "redact", "why": "tools"}]
    wrong = iron("policy", "test", "--model", "fats", "Hello")
    assert wrong.returncode not in (0, 3)
    assert "fast" in wrong.stderr


def test_check_tells_of_rules_that_cannot_decide(folder):
    (folder / "iron.toml").write_text(
        '[[policy.rules]]\nname = "all"\nwhat = ["pii"]\naction = "log"\n\n'
        '[[policy.rules]]\nname = "some"\nwhat = ["US_SSN"]\nagents = ["a"]\naction = "block"\n\n'
        '[[policy.rules]]\nname = "sure"\nwhat = ["URL"]\nmodels = ["opnai/*"]\n'
        'action = "block"\nthreshold = 0.9\n',
        encoding="utf-8",
    )
    told = iron("check")
    said = told.stdout + told.stderr
    assert (
        'rule "some" (block) can never decide: "all" above it takes all that it speaks of, which says log'
        in said
    )
    assert 'rule "sure": its threshold of 0.9 is above the highest score there is for URL (0.6)' in said
    assert 'rule "sure": "opnai/*" in models is no model that has a price' in said


def test_pseudonyms_are_shown_as_they_would_be_sent(folder):
    (folder / "iron.toml").write_text(
        '[[policy.rules]]\nname = "mail"\nwhat = ["EMAIL_ADDRESS"]\naction = "pseudonymize"\n',
        encoding="utf-8",
    )
    done = iron("policy", "test", "a@example.org, b@example.org; a@example.org")
    assert done.returncode == 0
    assert done.stdout.endswith("\n[EMAIL_ADDRESS_1], [EMAIL_ADDRESS_2]; [EMAIL_ADDRESS_1]\n")
    assert done.stdout.count("pseudonymize") == 3
    answer = json.loads(iron("policy", "test", "--json", "--direction", "output", "a@example.org").stdout)
    assert answer["text"] == "a@example.org"
