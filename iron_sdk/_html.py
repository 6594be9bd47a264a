"""Tables for notebooks, in whatever colours the notebook has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

# `currentColor` alone, so that it reads on light and on dark.
_TABLE = "border-collapse:collapse;text-align:left"
_CELL = "padding:2px 12px 2px 0;text-align:left"
_BAR = "display:inline-block;width:240px;height:10px;border:1px solid currentColor;vertical-align:middle"
_PART = "display:inline-block;height:10px;vertical-align:top;background:currentColor"


def table(title: str, rows: Mapping[str, str], *, above: str = "") -> str:
    """Lay out facts under a title.

    Args:
        title: What the facts are about.
        rows: The facts by name; both are text, not markup.
        above: Markup between the title and the facts.
    """
    from html import escape

    lines = "".join(
        f'<tr><td style="{_CELL};opacity:0.7">{escape(name)}</td><td style="{_CELL}">{escape(fact)}</td></tr>'
        for name, fact in rows.items()
    )
    return f'<div><b>{escape(title)}</b>{above}<table style="{_TABLE}">{lines}</table></div>'


def bar(limit: Decimal, *parts: Decimal) -> str:
    """Draw shares of a limit beside each other, each fainter than the one before."""
    left = 100.0
    drawn: list[str] = []
    for place, part in enumerate(parts):
        width = min(left, float(100 * part / limit)) if limit else left
        left -= width
        drawn.append(f'<span style="{_PART};width:{width:.2f}%;opacity:{0.8 / (1 + 2 * place):.2f}"></span>')
    return f'<div style="{_BAR}">{"".join(drawn)}</div>'
