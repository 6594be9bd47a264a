"""Runs: one run of an agent, and who its calls are from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iron_sdk import _iron
from iron_sdk._errors import ConfigError
from iron_sdk._override import override
from iron_sdk._scope import Scoped, current_scope

if TYPE_CHECKING:
    from collections.abc import Iterable


class Run(Scoped["_iron.Run"]):
    """One run of an agent.

    Entered with `with` or `async with`, it says who every call made inside is from, those of child tasks
    included. A call is part of the innermost run that it is made in.
    """

    __slots__ = ("_native",)

    def __init__(self, agent: str | None = None, *, tags: Iterable[str] = ()) -> None:
        outer = next((scope for scope in current_scope() if isinstance(scope, _iron.Run)), None)
        self._native: _iron.Run = _iron.Run(_text("agent", agent), _texts(tags), outer)

    @property
    def agent(self) -> str | None:
        """The agent's name, its own or that of the run around it; None if neither has one."""
        return self._native.who()[0]

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of the run around it, then its own, each once."""
        return tuple(self._native.who()[1])

    @override
    def __repr__(self) -> str:
        tags = f", tags={list(self.tags)}" if self.tags else ""
        return f"<Run of {self.agent!r}{tags}>"


def _text(name: str, value: object) -> str | None:
    if isinstance(value, str | None):
        return value
    raise ConfigError(f"{name} is of type {type(value).__name__}; give text")


def _texts(tags: Iterable[object]) -> list[str]:
    if isinstance(tags, str):
        raise ConfigError(f"tags is the text {tags!r}; give a list of texts")
    return [_text(f"tags[{index}]", tag) or "" for index, tag in enumerate(tags)]


def run(agent: str | None = None, *, tags: Iterable[str] = ()) -> Run:
    """Say who every call made inside a `with` block is from.

    A run that is made inside of another has that one's agent, unless it names its own, and that one's tags
    beside its own. The agent and the tags of a client's configuration stand around all of its runs.

    Args:
        agent: The agent's name, to which rules of a policy can be narrowed. Default: that of the run around.
        tags: What else the calls are from: words to which rules can be narrowed.

    Returns:
        A run to enter with `with` or `async with`.

    Raises:
        ConfigError: A name is no text, is empty, has control characters, or is longer than 256 bytes.

    Examples:
        >>> import iron_sdk as iron
        >>> with iron.run(agent="planner", tags=["eu"]):
        ...     with iron.run(agent="searcher", tags=["web"]) as run:
        ...         print(run.agent, run.tags)
        searcher ('eu', 'web')
    """
    return Run(agent, tags=tags)
