"""Questions of the core, and the callables of the user's own that they are put to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from iron_sdk import _answers
from iron_sdk._output import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from iron_sdk._callbacks import Callbacks
    from iron_sdk._iron import Question
    from iron_sdk._output import Output

Key: TypeAlias = "tuple[str, str]"
"""Who is asked: `detector` and its name, `approval` and who decides, or `output` and the class."""


@dataclass(frozen=True, slots=True)
class Called:
    """A callable, and how it wants to be called."""

    function: Callable[..., object]
    is_async: bool
    takes_direction: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """A question, and the callable that it is put to."""

    question: Question
    key: Key
    called: Called
    call: Callable[[], object]
    answer: Callable[[object], None]

    @classmethod
    def of(cls, callbacks: Callbacks, output: Output | None, question: Question) -> Asking:
        if (text := question.about_text()) is not None:
            return cls._text(callbacks, question, *text)
        if (said := question.about_output()) is not None:
            return cls._said(output, question, said)
        return cls._tool(callbacks, question)

    @classmethod
    def _text(cls, callbacks: Callbacks, question: Question, name: str, text: str, direction: str) -> Asking:
        called = callbacks.detectors[name]
        more = {"direction": direction} if called.takes_direction else {}
        return cls(
            question,
            ("detector", name),
            called,
            lambda: called.function(text, **more),
            lambda value: question.found(_answers.matches(value, text)),
        )

    @classmethod
    def _said(cls, output: Output | None, question: Question, said: str) -> Asking:
        if output is None:
            raise LookupError("nobody has a word on output here")
        key = ("output", output.identity)
        return cls(
            question,
            key,
            Called(output.judge, is_async=False),
            lambda: output.judge(said),
            lambda value: _tell(question, value),
        )

    @classmethod
    def _tool(cls, callbacks: Callbacks, question: Question) -> Asking:
        called, about = callbacks.approve, question.about_tool()
        if called is None or about is None:
            raise LookupError("nobody decides about tools here")
        return cls(
            question,
            ("approval", str(id(called.function))),
            called,
            lambda: called.function(_answers.approval_request(about)),
            lambda value: question.decided(_answers.refusal(value)),
        )


def _tell(question: Question, value: object) -> None:
    if isinstance(value, Refusal):
        question.invalid(type(value.raised).__name__, value.wrong)
    else:
        question.valid()
