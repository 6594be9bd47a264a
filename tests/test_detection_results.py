"""docs/detection.md shows what `benches/detection.py` last measured, and what was measured is good enough."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = json.loads((ROOT / "benches/results/detection.json").read_text(encoding="utf-8"))


def table() -> list[str]:
    lines = [
        "| entity | precision | recall | F1 | presidio: precision | recall | F1 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    theirs = RESULTS["entities"]["presidio"]
    for entity, ours in RESULTS["entities"]["iron"].items():
        known = theirs[entity] if theirs[entity]["recall"] else dict.fromkeys(ours, "")
        cells = [*ours.values(), *known.values()]
        lines.append(f"| `{entity}` | {' | '.join(map(str, cells))} |")
    return lines


def test_the_page_shows_what_was_measured():
    page = (ROOT / "docs/detection.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- results: begin -->")[2].partition("<!-- results: end -->")[0].split("\n")
    assert [line for line in shown if line.startswith("|")] == table()
    secrets, injection = RESULTS["secrets"]["detect-secrets"], RESULTS["injection"]
    blocked = RESULTS["blocked_by_default"]
    text = " ".join(page.split())
    for figure in (
        f"detect-secrets finds {secrets['recall']} of the keys at a precision of {secrets['precision']}",
        f"{injection['logged']} of {injection['texts']} injections are logged",
        f"and {injection['blocked']} blocked",
        f"{blocked['prompts_blocked']} of {blocked['prompts']:,} prompts",
        f"{blocked['code_blocked']} of {blocked['code']:,} pieces of source code",
    ):
        assert figure in text, figure


def test_fewer_than_one_text_in_a_thousand_is_blocked_by_mistake():
    blocked = RESULTS["blocked_by_default"]
    for kind in ("prompts", "code"):
        assert blocked[f"{kind}_blocked"] * 1000 < blocked[kind]
