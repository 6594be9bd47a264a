"""What callables of the user's own are given, and what they may answer."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    # Nothing or False for nothing, True or a score for the whole text, or matches in it.
    Found: TypeAlias = "bool | float | Sequence[Match] | None"
    Detector: TypeAlias = "Callable[..., Found | Awaitable[Found]]"

NativeMatch: TypeAlias = "tuple[int, int, float, str | None]"


@dataclass(frozen=True, slots=True)
class Match:
    """Something that a detector of your own found in a text."""

    start: int
    """Index of its first character in the text, as Python counts them."""
    end: int
    """Index behind its last character."""
    score: float = 1.0
    """How sure that is, from 0 to 1. The threshold of a rule is 0.5 unless it says otherwise."""
    label: str | None = None
    """What it is, where the detector tells several things apart: rules name it `detector:NAME/LABEL`.

    Letters, digits, `_`, `-` and `.`, at most 64 of them.
    """


def matches(value: object, text: str) -> list[NativeMatch]:
    """Read what a detector gave.

    Raises:
        TypeError: It is none of what a detector may give.
        ValueError: A match is outside of the text, or a score is none.
    """
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [_match(match, text) for match in cast("Iterable[object]", value)]
    # Booleans of Python's are numbers; those of numpy are not, and say themselves what they are.
    if type(value).__name__ in {"bool", "bool_"}:
        return _whole(text, 1.0) if value else []
    if isinstance(value, Real):
        return _whole(text, float(value))
    right = "give None, a bool, a score from 0 to 1, or a list of iron.Match"
    raise TypeError(f"a detector gave something of type {type(value).__name__}: {right}")


def _whole(text: str, score: float) -> list[NativeMatch]:
    return [(0, len(text), _score(score), None)]


def _match(match: object, text: str) -> NativeMatch:
    if not isinstance(match, Match):
        raise TypeError(
            f"a detector gave a list with something of type {type(match).__name__}: give iron.Match"
        )
    # Whatever they should be, they are what the detector has put there.
    start, end, label = cast("tuple[object, object, object]", (match.start, match.end, match.label))
    if not isinstance(start, int) or not isinstance(end, int):
        raise TypeError("start and end of an iron.Match are whole numbers")
    if not 0 <= start < end <= len(text):
        raise ValueError(f"iron.Match({start}, {end}) is not within a text of {len(text)} characters")
    if label is not None and not isinstance(label, str):
        raise TypeError(f"the label of an iron.Match is text, not of type {type(label).__name__}")
    return start, end, _score(match.score), label


def _score(score: object) -> float:
    if not isinstance(score, Real):
        raise TypeError(f"a score is a number, not of type {type(score).__name__}")
    number = float(score)
    if not 0 <= number <= 1:
        raise ValueError(f"a score is from 0 to 1, not {number}")
    return number


Match.__module__ = "iron_sdk"
