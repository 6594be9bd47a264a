"""`iron check`, `iron schema` and `iron init`, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import jsonschema
import pytest
from command import environment, iron, on_terminal

from iron_sdk.testing import Simulator

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
DOCUMENTED = [
    tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
]

CONFIG = """\
default_model = "fast"

[budget]
limit_usd = "1.00"

[providers.acme]
base_url = "https://llm.acme.example/v1"
api_key_env = "ACME_API_KEY"

[models.fast]
upstreams = ["openai/gpt-5-mini", "acme/large"]

[prices."acme/large"]
input_usd = "0.60"
output_usd = "2.40"

[profiles.production.budget]
limit_usd = "500.00"
"""


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "iron.toml", mode: int = 0o600) -> None:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def in_force(*args, **variables):
    done = iron("check", "--json", *args, env=environment(**variables))
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def setting(found, key):
    (only,) = (item for item in found["settings"] if item["key"] == key)
    return only["value"], only["origin"]


def test_check_prints_what_is_in_force_and_where_it_was_written():
    write(CONFIG)
    variables = {"IRON_TIMEOUTS_TOTAL_MS": "9", "OPENAI_API_KEY": "sk-481516", "ACME_API_KEY": "sk-2342"}
    done = iron("check", "--profile", "production", env=environment(**variables))
    assert (done.returncode, done.stderr) == (0, "")
    shown = [line.split() for line in done.stdout.splitlines()]
    assert shown[:2] == [["iron.toml"], ["profile", "production"]]
    assert ["limit_usd", '"500.00"', "iron.toml:18:1"] in shown
    assert ["total_ms", "9", "environment", "variable", "IRON_TIMEOUTS_TOTAL_MS"] in shown
    assert ["idle_ms", "60000", "default"] in shown
    assert ["concurrency", "none", "default"] in shown
    assert ["fast,", "in", "order", "(default)"] in shown
    assert [line for line in done.stdout.splitlines() if line.startswith("[")][:2] == ["[budget]", "[limits]"]
    assert re.search(r"^ +acme/large +\$0\.60 in, \$2\.40 out per million tokens$", done.stdout, re.MULTILINE)
    assert "key from environment variable ACME_API_KEY" in done.stdout
    assert "481516" not in done.stdout
    assert "2342" not in done.stdout


def test_check_in_json():
    write(CONFIG)
    found = in_force(IRON_PROFILE="production", OPENAI_API_KEY="sk", ACME_API_KEY="sk")
    assert (found["file"], found["profile"], found["warnings"]) == ("iron.toml", "production", [])
    assert setting(found, "budget.limit_usd") == ("500.00", "iron.toml:18:1")
    assert setting(found, "retry.max_attempts") == (3, None)
    assert setting(found, 'prices."acme/large".input_usd') == ("0.60", "iron.toml:14:1")
    providers = {provider["name"]: provider for provider in found["providers"]}
    assert providers["acme"]["url"] == "https://llm.acme.example/v1/chat/completions"
    (route,) = found["routes"]
    assert route["default"] is True
    assert route["upstreams"][1] == {"model": "acme/large", "input_usd": "0.60", "output_usd": "2.40"}


def test_check_without_a_file_tells_the_defaults():
    found = in_force()
    assert (found["file"], found["profile"], found["routes"]) == (None, None, [])
    assert {item["origin"] for item in found["settings"]} == {None}
    assert iron("check").stdout.startswith("no file")


@pytest.mark.parametrize(
    ("text", "args", "variables", "message"),
    [
        ("[budget]\nlimt_usd = 1", (), {}, "iron.toml:2:1: budget: unknown key `limt_usd`: did you mean"),
        ("[budget", (), {}, "iron.toml:1:8: "),
        ("", ("missing.toml",), {}, "cannot read the configuration file missing.toml: "),
        ("", ("--profile", "p"), {}, "argument profile: unknown profile `p`: the configuration has none"),
        (
            "",
            (),
            {"IRON_RETRY_MAX_MS": "x"},
            "environment variable IRON_RETRY_MAX_MS: retry.max_ms is not an",
        ),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_no_program_could_start_with_exits_with_one(text, args, variables, message, form):
    write(text)
    done = iron("check", *form, *args, env=environment(**variables))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error[config]: {message}")


def test_check_warns_of_what_may_not_be_meant():
    write(
        """
        default_model = "local/tiny"
        [budget]
        unpriced = "allow"
        [providers.local]
        base_url = "http://127.0.0.1:1/v1"
        api_key = "sk-481516"
        """,
        mode=0o644,
    )
    found = in_force(IRON_TOKEN="somebody else's")
    assert found["warnings"] == [
        "no budget is set: calls may cost any amount (budget.limit_usd)",
        'local/tiny has no known price and counts as free: add [prices."local/tiny"]',
        "iron.toml:7:9: providers.local.api_key stands in the file: name a variable by api_key_env instead",
        "iron.toml holds a key and others can read it (mode 644): chmod 600 iron.toml",
        "environment variable IRON_TOKEN is not one of ours: it sets nothing",
    ]
    Path("iron.toml").chmod(0o600)
    assert len(in_force()["warnings"]) == 3

    done = iron("check")
    assert (done.returncode, done.stderr.count("warning: ")) == (0, 3)
    assert '"***"' in done.stdout
    assert "481516" not in done.stdout + done.stderr


def test_check_warns_of_a_key_that_a_route_will_miss():
    write(CONFIG)
    found = in_force(OPENAI_API_KEY="sk")
    (warning,) = found["warnings"]
    assert warning.startswith('provider "acme" has no key: set ACME_API_KEY')


def test_colour_is_for_terminals_that_want_it():
    write("")
    code, shown = on_terminal("check")
    assert (code, "\x1b[" in shown) == (0, True)
    code, shown = on_terminal("check", env=environment(TERM="xterm", NO_COLOR="1"))
    assert (code, "\x1b[" in shown) == (0, False)
    assert "\x1b[" not in iron("check").stdout


def test_check_finds_the_file_that_a_program_finds(directory):
    write("[tool.iron.budget]\nlimit_usd = 3", "pyproject.toml")
    assert setting(in_force(), "budget.limit_usd") == ("3.00", "pyproject.toml:2:1")
    (directory / ".git").mkdir()
    (directory / "below").mkdir()
    os.chdir("below")
    assert setting(in_force(), "budget.limit_usd") == ("3.00", "../pyproject.toml:2:1")
    write("budget.limit_usd = 4", "other.toml")
    assert setting(in_force(IRON_CONFIG="other.toml"), "budget.limit_usd") == ("4.00", "other.toml:1:8")


# The schema.


@pytest.fixture(scope="module")
def schema():
    schema = json.loads(iron("schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_schema_accepts_what_is_documented(schema):
    assert DOCUMENTED
    for block in DOCUMENTED:
        schema.validate(block.get("tool", {}).get("iron", block))


def test_the_schema_accepts_what_init_writes(schema):
    text = iron("init").stdout and Path("iron.toml").read_text(encoding="utf-8")
    schema.validate(tomllib.loads(text))
    schema.validate(tomllib.loads(every_setting(text)))


@pytest.mark.parametrize(
    "text",
    [
        "zebra = 1",
        "budgte.limit_usd = 1",
        "budget.limt_usd = 1",
        "budget = 5",
        "budget.limit_usd = 0.5",
        "budget.limit_usd = '-1'",
        "budget.limit_usd = '0.0000000001'",
        "budget.limit_usd = 'five'",
        "budget.unpriced = 'alow'",
        "limits.concurrency = 0",
        "retry.budget_percent = 101",
        "providers.x.api_key = 5",
        "providers.x.zebra = 5",
        "models.fast = {}",
        "models.fast.upstreams = []",
        "prices.'x/y'.output_usd = 1",
        "profiles.p.zebra = 1",
        "profiles.p.profiles.q.default_model = 'x'",
        "profiles.p.budget.limit_usd = 0.5",
    ],
)
def test_the_schema_and_the_program_refuse_the_same(schema, text):
    assert not schema.is_valid(tomllib.loads(text))
    write(text)
    assert iron("check").returncode == 1


def test_a_profile_may_leave_out_what_the_rest_has(schema):
    text = "prices.'openai/x' = {input_usd = 1}\nprofiles.p.prices.'openai/x'.output_usd = 2"
    schema.validate(tomllib.loads(text))
    write(text)
    assert setting(in_force("--profile", "p"), 'prices."openai/x".output_usd') == ("2.00", "iron.toml:2:30")


def test_every_key_says_what_it_means(schema):
    tables = [schema.schema, *schema.schema["$defs"].values()]
    keys = {key: value for table in tables for key, value in table.get("properties", {}).items()}
    assert len(keys) > 30
    assert [key for key, value in keys.items() if not value.get("description")] == []


# The file to begin with.


def every_setting(text: str) -> str:
    """Take the mark of a comment from each setting: it is followed by no space."""
    return re.sub(r"^#(?=[^ \n])", "", text, flags=re.MULTILINE)


def test_init_writes_a_file_that_sets_nothing():
    done = iron("init")
    assert (done.returncode, done.stdout) == (0, "iron.toml\n")
    found = in_force()
    assert found["file"] == "iron.toml"
    assert {item["origin"] for item in found["settings"]} == {None}


def test_init_shows_every_setting_in_a_form_that_is_valid():
    iron("init")
    text = Path("iron.toml").read_text(encoding="utf-8")
    assert max(len(line) for line in text.splitlines()) <= 120
    defaults = {item["key"]: item["value"] for item in in_force()["settings"]}
    Path("iron.toml").write_text(every_setting(text), encoding="utf-8")
    found = in_force("--profile", "production")
    settings = {item["key"]: item["value"] for item in found["settings"]}
    assert settings.keys() >= defaults.keys()
    # What has a default is shown at its default; what has none, and a list of tables, at an example.
    changed = {key for key, value in defaults.items() if value is not None and settings[key] != value}
    assert changed == {"policy.rules", "router.tokens"}
    assert [item["key"] for item in found["settings"] if item["origin"] is None] == []


def test_init_leaves_a_file_alone_unless_forced(directory):
    write("budget.limit_usd = 5")
    done = iron("init")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error[config]: iron.toml is there already: add --force to overwrite it\n"
    assert Path("iron.toml").read_text(encoding="utf-8") == "budget.limit_usd = 5"
    assert iron("init", "--force").returncode == 0
    assert "[budget]" in Path("iron.toml").read_text(encoding="utf-8")

    (directory / "sub").mkdir()
    assert iron("init", "sub").stdout == "sub/iron.toml\n"
    assert iron("init", "sub/other.toml").stdout == "sub/other.toml\n"
    done = iron("init", "missing/iron.toml")
    assert done.returncode == 1
    assert done.stderr.startswith("error[io]: cannot write missing/iron.toml: ")


def test_chat_takes_a_profile():
    with Simulator() as simulator:
        write(f"""
            default_model = "openai/gpt-5-mini"
            [providers.openai]
            base_url = "{simulator.url}"
            [profiles.local]
            default_model = "openai/gpt-5-nano"
        """)
        variables = environment(OPENAI_API_KEY="sk")
        done = iron("chat", "Hello", "--json", "--profile", "local", env=variables)
        assert json.loads(done.stdout)["upstream"] == "openai/gpt-5-nano"
