"""Options of a client as the settings that the core reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from iron_sdk import _iron
from iron_sdk._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iron_sdk._types import Money

_MAX_SECONDS = 366 * 86_400
# The setting of each argument. The core is given them one by one, so that an error can name the argument.
_KEYS = {
    "budget": ("budget", "limit_usd"),
    "timeout": ("timeouts", "total_ms"),
    "model": ("default_model",),
    "agent": ("agent",),
    "tags": ("tags",),
    "max_attempts": ("retry", "max_attempts"),
    "base_url": ("providers", "openai", "base_url"),
    "api_key": ("providers", "openai", "api_key"),
}


def open_client(  # one line an option
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    *,
    profile: object,
    budget: Money | None,
    timeout: float | None,
    model: str | None,
    agent: str | None,
    tags: Sequence[str] | None,
    max_attempts: int | None,
    base_url: str | None,
    api_key: str | None,
    detectors: list[str],
) -> _iron.Client:
    """Open a native client.

    Raises:
        ConfigError: A setting is unknown or wrong.
    """
    file: str | None = None
    settings: dict[str, Any] | None = None
    if isinstance(config, Mapping):
        settings = dict(config)
    elif config is not None:
        try:
            file = os.fsdecode(config)
        except TypeError:
            kind = type(config).__name__
            raise ConfigError(f"config is of type {kind}; give a path, or a mapping like iron.toml") from None
    if not isinstance(profile, str | None):
        raise ConfigError(f"profile is of type {type(profile).__name__}; give the name of a profile")
    values = {
        "budget": _amount(budget),
        "timeout": _milliseconds(timeout),
        "model": model,
        "agent": agent,
        "tags": tags,
        "max_attempts": max_attempts,
        "base_url": base_url,
        "api_key": api_key,
    }
    arguments = {name: _tables(_KEYS[name], value) for name, value in values.items() if value is not None}
    return _iron.Client(file, config is None, profile, settings, arguments, detectors)


def _tables(keys: tuple[str, ...], value: object) -> dict[str, Any]:
    """Put a value under nested keys."""
    for key in reversed(keys):
        value = {key: value}
    return cast("dict[str, Any]", value)


def _amount(value: Money | None) -> object:
    from decimal import Decimal

    # Settings are JSON, where exact money is text.
    return format(value, "f") if isinstance(value, Decimal) else value


def _milliseconds(seconds: object) -> int | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ConfigError(f"timeout is of type {type(seconds).__name__}; give seconds as a number above 0")
    if not 0 < seconds <= _MAX_SECONDS:
        raise ConfigError(f"timeout is {seconds}; give seconds as a number above 0, at most a year")
    return max(1, round(seconds * 1000))
