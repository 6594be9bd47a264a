"""Options of a client as the settings that the core reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from iron_sdk import _iron
from iron_sdk._errors import ConfigError

if TYPE_CHECKING:
    from iron_sdk._types import Money

_MAX_SECONDS = 366 * 86_400


def open_client(  # one line an option
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    *,
    budget: Money | None,
    timeout: float | None,
    model: str | None,
    max_attempts: int | None,
    base_url: str | None,
    api_key: str | None,
) -> _iron.Client:
    """Open a native client.

    Raises:
        ConfigError: A setting is unknown or wrong.
    """
    file: str | None = None
    settings: dict[str, Any] = {}
    if isinstance(config, Mapping):
        settings = dict(config)
    elif config is not None:
        try:
            file = os.fsdecode(config)
        except TypeError:
            kind = type(config).__name__
            raise ConfigError(f"config is of type {kind}; give a path, or a mapping like iron.toml") from None
    if budget is not None:
        _set(settings, ("budget", "limit_usd"), _amount(budget))
    if timeout is not None:
        _set(settings, ("timeouts", "total_ms"), _milliseconds(timeout))
    if model is not None:
        _set(settings, ("default_model",), model)
    if max_attempts is not None:
        _set(settings, ("retry", "max_attempts"), max_attempts)
    if base_url is not None:
        _set(settings, ("providers", "openai", "base_url"), base_url)
    if api_key is not None:
        _set(settings, ("providers", "openai", "api_key"), api_key)
    return _iron.Client(file, config is None, settings or None)


def _set(settings: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    """Set one value in nested tables, which are copied on the way because they are the caller's."""
    *tables, key = path
    for table in tables:
        inner = settings.get(table, {})
        if not isinstance(inner, Mapping):
            raise ConfigError(f"{table} is of type {type(inner).__name__}; give a mapping")
        settings[table] = settings = dict(cast("Mapping[str, Any]", inner))
    settings[key] = value


def _amount(value: Money) -> object:
    from decimal import Decimal

    # Settings are JSON, where exact money is text.
    return format(value, "f") if isinstance(value, Decimal) else value


def _milliseconds(seconds: object) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ConfigError(f"timeout is of type {type(seconds).__name__}; give seconds as a number above 0")
    if not 0 < seconds <= _MAX_SECONDS:
        raise ConfigError(f"timeout is {seconds}; give seconds as a number above 0, at most a year")
    return max(1, round(seconds * 1000))
