"""`iron prices`: listed, searched, compared, imported."""

from __future__ import annotations

import json
import re

import pytest
from command import environment, on_terminal
from command import iron as run

import iron_sdk as iron

TABLE = {
    "sample_spec": {"litellm_provider": "one of them", "mode": "one of: chat"},
    "gemini/gemini-x": {
        "litellm_provider": "gemini",
        "mode": "chat",
        "input_cost_per_token": 2.5e-07,
        "output_cost_per_token": 2e-06,
    },
    "dall-e": {"litellm_provider": "openai", "mode": "image_generation"},
}


def test_all_models_are_listed_in_80_columns():
    done = run("prices")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 300
    assert max(map(len, lines)) <= 80
    assert re.search(r"^openai/gpt-5-mini +0\.25 +0\.025 +2\.00 +\d+k$", done.stdout, re.MULTILINE)
    assert "US dollars per million tokens" in done.stderr


def test_search_takes_words_and_a_provider():
    done = run("prices", "search", "CLAUDE", "haiku", "--provider", "anthropic")
    names = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    assert names
    assert all(name.startswith("anthropic/") and "haiku" in name for name in names)
    nothing = run("prices", "search", "no-such-model")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr.startswith("error[config]: no priced model is like that")


def test_json_tells_everything():
    done = run("prices", "search", "claude-sonnet-4-5", "--provider", "anthropic", "--json")
    (model,) = json.loads(done.stdout)
    assert model["cache_write_1h_usd"] == "6.00"
    assert model["usd_per_web_search"] == "0.01"
    assert model["source"].startswith("https://")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", model["as_of"])


def test_prices_of_the_configuration_stand_above_the_built_in_ones(tmp_path):
    file = tmp_path / "iron.toml"
    file.write_text('[prices."openai/gpt-5-mini"]\ninput_usd = "7"\n[prices."acme/x"]\ninput_usd = "8"\n')
    done = run("prices", "--json", "--config", str(file))
    models = {model["name"]: model for model in json.loads(done.stdout)}
    assert models["openai/gpt-5-mini"]["input_usd"] == "7.00"
    assert models["acme/x"]["configured"]


def test_compare_shows_what_a_call_costs():
    names = ["openai/gpt-5.5", "openai/gpt-5-mini"]
    done = run("prices", "compare", *names, "--input", "1000", "--cached", "400", "--output", "50")
    assert done.returncode == 0, done.stderr
    _, cheap, dear = done.stdout.splitlines()
    assert cheap.split() == ["openai/gpt-5-mini", "0.00026", "0.26", "1.0x"]
    assert dear.startswith("openai/gpt-5.5")
    wrong = run("prices", "compare", "openai/gpt-5-mni")
    assert 'did you mean "openai/gpt-5-mini"?' in wrong.stderr
    assert run("prices", "compare", *names, "--input", "1", "--cached", "2").returncode == 1


def test_what_is_imported_is_exact_and_loads(tmp_path):
    table, prices = tmp_path / "table.json", tmp_path / "prices.toml"
    table.write_text(json.dumps(TABLE))
    done = run("prices", "import", str(table), "--output", str(prices))
    assert (done.returncode, done.stdout) == (0, "")
    assert "skipped 1 (dall-e): prices of image_generation are not kept" in done.stderr
    assert '[prices."google/gemini-x"]' in prices.read_text()
    assert 'input_usd = "0.25"' in prices.read_text()
    iron.Client(prices)
    again = run("prices", "import", str(table), "--output", str(prices))
    assert again.returncode == 1
    assert "exists" in again.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n  "a": {,}\n}', ":2:9: key must be a string"),
        ("[]", ":1:0: invalid type"),
        ("{}", "no price that"),
    ],
)
def test_a_table_that_cannot_be_read_is_named_with_the_place(tmp_path, text, expected):
    table = tmp_path / "table.json"
    table.write_text(text)
    done = run("prices", "import", str(table))
    assert (done.returncode, done.stdout) == (1, "")
    assert expected in done.stderr


def test_colour_is_for_terminals_alone():
    assert "\x1b" not in run("prices", "search", "gpt-5-mini").stderr
    code, shown = on_terminal("prices", "search", "gpt-5-mini")
    assert code == 0
    assert "\x1b[2m" in shown
    _, plain = on_terminal("prices", "search", "gpt-5-mini", env=environment(TERM="xterm", NO_COLOR="1"))
    assert "\x1b" not in plain
