"""Policies: rules on what may be said, for every call made inside a `with` block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iron_sdk import _iron
from iron_sdk._override import override
from iron_sdk._scope import Scoped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Policy(Scoped["_iron.Policy"]):
    """Rules on what may be said, checked and compiled once.

    Entered with `with` or `async with`, it holds every call made inside, those of child tasks included; given
    as `policy` to a call, it holds that call. Policies nest: a text has to pass all of them, so that an inner
    one can add to what an outer one forbids, and allow nothing that it does not.
    """

    __slots__ = ("_native", "_size")

    def __init__(
        self,
        rules: Sequence[Mapping[str, Any]],
        *,
        keywords: Mapping[str, Sequence[str]] | None = None,
        patterns: Mapping[str, str] | None = None,
    ) -> None:
        settings: dict[str, Any] = {"rules": rules}
        if keywords is not None:
            settings["keywords"] = keywords
        if patterns is not None:
            settings["patterns"] = patterns
        self._native: _iron.Policy = _iron.Policy({"policy": settings})
        self._size = len(rules)

    @override
    def __repr__(self) -> str:
        return f"<Policy of {self._size} {'rule' if self._size == 1 else 'rules'}>"


def policy(
    rules: Sequence[Mapping[str, Any]],
    *,
    keywords: Mapping[str, Sequence[str]] | None = None,
    patterns: Mapping[str, str] | None = None,
) -> Policy:
    """Hold every call made inside a `with` block to rules, beside those of its client.

    Args:
        rules: Rules in order, each a mapping with the keys of `[[policy.rules]]` in `iron.toml`.
        keywords: Lists of words by name, for `keyword:NAME`.
        patterns: Regular expressions by name, for `pattern:NAME`.

    Returns:
        A policy to enter with `with` or `async with`, or to give to a call as `policy`. Making one compiles
        it: make it once and use it often.

    Raises:
        ConfigError: There is no rule, or a rule is wrong; the message names it.

    Examples:
        >>> import iron_sdk as iron
        >>> no_keys = iron.policy([{"what": ["secret"], "action": "block"}])
        >>> with no_keys:
        ...     await iron.chat("Hello", model="openai/gpt-6-luna")
    """
    return Policy(rules, keywords=keywords, patterns=patterns)
