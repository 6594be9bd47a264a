"""Output of a class: the instance that it makes of a text, and what it has against one."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iron_sdk._schema import Parse

NativeWrong: TypeAlias = "tuple[tuple[str, str], tuple[str, str]]"
"""A place and what is wrong there: as the caller is told, and as the model is that wrote it."""

# As many, and as long, as tell enough.
_MOST_TOLD = 16
_LONGEST_TOLD = 500


class _Told(Protocol):
    """An error of Pydantic's."""

    def errors(
        self, *, include_url: bool, include_context: bool, include_input: bool
    ) -> list[dict[str, Any]]: ...


class Refusal(NamedTuple):
    """What a class raised at a text that it refuses, and what that says."""

    raised: ValueError
    wrong: list[NativeWrong]


class Output:
    """The class that the output of one call has to be of, and what it has made of texts by now."""

    __slots__ = ("_made", "_names", "_parse")

    def __init__(self, parse: Parse, names: frozenset[str]) -> None:
        self._parse = parse
        self._names = names
        self._made: dict[str, Any] = {}

    @property
    def identity(self) -> str:
        """What tells the class from others."""
        return str(id(self._parse))

    def judge(self, text: str) -> Refusal | None:
        """Have the class make an instance of a text, to be read later; what it raised if it does not."""
        try:
            self._made[text] = self._parse(text)
        except ValueError as error:
            return Refusal(error, self.wrong(error))
        return None

    def read(self, text: str) -> Any:  # noqa: ANN401 - of the caller's class
        """Give the instance that was made of a text, or make it.

        Raises:
            ValueError: The class refuses the text.
        """
        return self._made.pop(text) if text in self._made else self._parse(text)

    def wrong(self, error: ValueError) -> list[NativeWrong]:
        """Tell what the class has against a text."""
        # Whoever has raised one of its errors has imported it.
        pydantic = sys.modules.get("pydantic_core")
        if pydantic is None or not isinstance(error, pydantic.ValidationError):
            return [(("", f"the class refuses it: {type(error).__name__}"), ("", str(error)[:_LONGEST_TOLD]))]
        told = cast("_Told", error).errors(include_url=False, include_context=False, include_input=False)
        return [
            (
                (_place(one["loc"], self._names), f"the class refuses it: {one['type']}"),
                (_place(one["loc"], None), one["msg"][:_LONGEST_TOLD]),
            )
            for one in islice(told, _MOST_TOLD)
        ]


def _place(steps: Sequence[str | int], names: frozenset[str] | None) -> str:
    """Write a place; a key that is none of `names` is the model's word."""
    place = ""
    for step in steps:
        if isinstance(step, int):
            place += f"[{step}]"
        else:
            place += ("." if place else "") + (step if names is None or step in names else "*")
    return place
