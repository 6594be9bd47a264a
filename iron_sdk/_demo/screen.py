"""The screen: what a stream can show, and how wide it is."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from decimal import Decimal

# Longer lines are harder to read, however wide the window is.
_MOST_COLUMNS = 88
# A line of the progress that is broken in two could not be written over.
_LEAST_COLUMNS = 64

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Screen:
    """A stream that text for people is written to."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        forced = os.environ.get("CLICOLOR_FORCE", "0") != "0"
        self._colours = not os.environ.get("NO_COLOR") and (forced or is_terminal)
        self.columns = min(shutil.get_terminal_size((80, 24)).columns, _MOST_COLUMNS)
        self.moves_cursor = is_terminal and self.columns >= _LEAST_COLUMNS
        """Whether lines that were written can be written over."""
        self._unicode = _encodes(stream, "█▒░·≤µ✓✗─")

    def style(self, text: str, *styles: str) -> str:
        """Style a text, where styles are shown."""
        if not self._colours:
            return text
        codes = ";".join(_STYLES[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def sign(self, sign: str, plain: str) -> str:
        """Choose a sign, or what stands for it where the encoding has none such."""
        return sign if self._unicode else plain

    def bar(self, width: int, *, spent: Decimal, held: Decimal, limit: Decimal) -> str:
        """Draw a limit with what is spent of it and what is held."""
        whole = limit or 1
        first = min(width, int(width * spent / whole))
        second = min(width - first, int(width * held / whole))
        parts = (self.sign("█", "#") * first, self.sign("▒", "+") * second)
        rest = self.sign("░", ".") * (width - first - second)
        return self.style(parts[0], "green") + self.style(parts[1], "yellow") + self.style(rest, "dim")

    def write(self, text: str) -> None:
        """Write a text as it stands."""
        self._stream.write(text)

    def flush(self) -> None:
        """Show what was written."""
        self._stream.flush()


def usd(amount: Decimal) -> str:
    """Write an amount to the nano-dollar."""
    return f"${amount:.9f}"


def _encodes(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
