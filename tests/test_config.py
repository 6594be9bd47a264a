"""Where settings come from, which of them stand, and what an error about one says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import iron_sdk as iron

if TYPE_CHECKING:
    from decimal import Decimal

PAGE = Path(__file__).parent.parent / "docs/configuration.md"
PROFILES = """
[budget]
limit_usd = "1.00"

[profiles.production.budget]
limit_usd = "500.00"

[profiles.test]
"""


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def limit(**options: object) -> Decimal | None:
    budget = iron.Client(**options).budget
    return budget and budget.limit


def refused(**options: object) -> str:
    with pytest.raises(iron.ConfigError) as error:
        iron.Client(**options)
    return str(error.value)


def test_later_sources_stand_above_earlier_ones(directory, monkeypatch):
    assert limit() is None
    (directory / "iron.toml").write_text('[budget]\nlimit_usd = "1"\n', encoding="utf-8")
    assert limit() == 1
    monkeypatch.setenv("IRON_BUDGET_LIMIT_USD", "2")
    assert limit() == 2
    assert limit(budget="3") == 3
    assert limit(config={"budget": {"limit_usd": "4"}}) == 4
    assert limit(config={"budget": {"limit_usd": "4"}}, budget="5") == 5


def test_a_file_is_looked_for_up_to_the_root_of_the_repository(directory, monkeypatch):
    below = directory / "repository/package/module"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    (directory / "iron.toml").write_text("budget.limit_usd = 1", encoding="utf-8")
    (directory / "repository/iron.toml").write_text("budget.limit_usd = 2", encoding="utf-8")
    assert limit() is None
    (directory / "repository/.git").mkdir()
    assert limit() == 2
    (below.parent / "pyproject.toml").write_text("[project]\nname = 'iron'", encoding="utf-8")
    assert limit() == 2
    (below.parent / "pyproject.toml").write_text("[tool.iron]\nbudget.limit_usd = 3", encoding="utf-8")
    assert limit() == 3
    (below / "iron.toml").write_text("budget.limit_usd = -4", encoding="utf-8")
    assert refused().startswith("iron.toml:1:8: budget.limit_usd is negative")
    (below / "iron.toml").unlink()
    (below.parent / "pyproject.toml").write_text("[tool.iron]\nzebra = 3", encoding="utf-8")
    assert refused().startswith("../pyproject.toml:2:1: unknown key `zebra`")


def test_a_broken_pyproject_is_no_reason_to_run_without_limits(directory):
    (directory / "pyproject.toml").write_text("[tool.iron]\nbudget.limit_usd = 1\nx = ", encoding="utf-8")
    assert refused().startswith("pyproject.toml:3:")


def test_iron_config_names_the_file(directory, monkeypatch):
    (directory / "iron.toml").write_text("budget.limit_usd = 1", encoding="utf-8")
    (directory / "other.toml").write_text("budget.limit_usd = 2", encoding="utf-8")
    monkeypatch.setenv("IRON_CONFIG", "other.toml")
    assert limit() == 2
    assert limit(config="iron.toml") == 1
    assert limit(config={}) is None
    monkeypatch.setenv("IRON_CONFIG", "missing.toml")
    message = "environment variable IRON_CONFIG: cannot read the configuration file missing.toml: "
    assert refused().startswith(message)


def test_a_profile_is_laid_over_the_other_settings(directory, monkeypatch):
    (directory / "iron.toml").write_text(PROFILES, encoding="utf-8")
    assert limit() == 1
    assert limit(profile="production") == 500
    monkeypatch.setenv("IRON_PROFILE", "production")
    assert limit() == 500
    assert limit(profile="test") == 1
    monkeypatch.setenv("IRON_BUDGET_LIMIT_USD", "7")
    assert limit() == 7
    assert refused(profile="prodution") == (
        "argument profile: unknown profile `prodution`: did you mean `production`?"
    )


def test_a_mapping_has_profiles_too():
    config = {"budget": {"limit_usd": 1}, "profiles": {"p": {"budget": {"limit_usd": 2}}}}
    assert limit(config=config) == 1
    assert limit(config=config, profile="p") == 2
    with iron.SyncClient(config, profile="p") as client:
        assert client.budget
        assert client.budget.limit == 2


def test_configure_takes_a_profile(directory, monkeypatch):
    monkeypatch.setattr("iron_sdk._api._default", None)
    (directory / "iron.toml").write_text(PROFILES, encoding="utf-8")
    iron.configure(profile="production")
    with pytest.raises(iron.ConfigError, match="unknown profile `staging`, expected `production` or `test`"):
        iron.configure(profile="staging")


def test_a_variable_that_is_a_slip_is_refused(monkeypatch):
    monkeypatch.setenv("IRON_BUDGTE_LIMIT_USD", "1")
    assert refused() == (
        "environment variable IRON_BUDGTE_LIMIT_USD is not known: did you mean IRON_BUDGET_LIMIT_USD?"
    )


def test_a_variable_of_somebody_else_is_left_alone(monkeypatch):
    monkeypatch.setenv("IRON_TOKEN", "theirs")
    assert limit() is None


def test_errors_read_as_documented(directory, monkeypatch):
    shown = re.search(
        r"^```text\n(iron\.toml:.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert shown
    messages = [refused(config={"budget": {"limit_usd": "-1"}})]
    (directory / "iron.toml").write_text("\n\n\n[timeouts]\ntotl_ms = 1\n", encoding="utf-8")
    messages.append(refused())
    (directory / "iron.toml").write_text(PROFILES, encoding="utf-8")
    messages.append(refused(profile="prodution"))
    monkeypatch.setenv("IRON_RETRY_MAX_ATTEMPTS", "0")
    messages.append(refused())
    assert set(messages) == set(shown[1].splitlines())


def test_a_key_is_never_quoted(monkeypatch):
    for options in (
        {"api_key": 481516},
        {"api_key": "481516\n"},
        {"config": {"providers": {"openai": "481516"}}},
        {"config": {"providers": {"openai": {"headers": {"x": ["481516"]}}}}},
    ):
        assert "481516" not in refused(**options)
    monkeypatch.setenv("OPENAI_API_KEY", "481516\n1")
    message = refused()
    assert message.startswith("environment variable OPENAI_API_KEY: has characters")
    assert "481516" not in message
