"""What callables of the user's own are given, and what they may answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    # Nothing or False for nothing, True or a score for the whole text, or matches in it.
    Found: TypeAlias = "bool | float | Sequence[Match] | None"
    Detector: TypeAlias = "Callable[..., Found | Awaitable[Found]]"
    # Whether the tool may be called, or why it may not.
    Verdict: TypeAlias = "bool | str"
    Approver: TypeAlias = "Callable[[ApprovalRequest], Verdict | Awaitable[Verdict]]"

NativeMatch: TypeAlias = "tuple[int, int, float, str | None]"
NativeAsked: TypeAlias = "tuple[str, str, str | None, str | None, tuple[str, ...], str]"
"""A tool, its arguments, the id of its call, the agent, its tags, and the id of the whole."""


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


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A call of a tool that waits for an answer of yours: True if it may be made."""

    tool: str
    """The tool's name."""
    arguments: dict[str, Any] = field(repr=False)
    """Its arguments by name, as the caller would get them. What a custom tool is given is its `input`."""
    call_id: str | None
    """The id of this call among those of the reply; None if the provider gave it none."""
    agent: str | None
    """The agent that the call is from; None if it has no name."""
    tags: tuple[str, ...]
    """What else the call is from."""
    request_id: str
    """The id of the call whose reply asks for the tool."""


def approval_request(asked: NativeAsked) -> ApprovalRequest:
    """Make a request of what the core gives.

    Raises:
        ValueError: The arguments are no JSON object.
    """
    tool, arguments, call_id, agent, tags, request_id = asked
    return ApprovalRequest(tool, _read_arguments(arguments), call_id, agent, tags, request_id)


def _read_arguments(text: str) -> dict[str, Any]:
    import json

    try:
        arguments: object = json.loads(text)
    except ValueError:
        # The decoder's own error holds the whole text.
        arguments = None
    if not isinstance(arguments, dict):
        raise ValueError("the arguments are no JSON object: nobody can be asked about them")  # noqa: TRY004 - the text is wrong
    return cast("dict[str, Any]", arguments)


def refusal(value: object) -> str | None:
    """Read what an approver gave: None if the tool may be called, else why it may not.

    Raises:
        TypeError: It is none of what an approver may give.
    """
    if value is True:
        return None
    if value is False:
        return ""
    if isinstance(value, str):
        return value
    kind = type(value).__name__
    raise TypeError(f"an approver gave something of type {kind}: give True, False, or why not as text")


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
ApprovalRequest.__module__ = "iron_sdk"
