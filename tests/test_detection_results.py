"""docs/detection.md shows what `benches/detection.py` last measured, and what was measured is good enough."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = json.loads((ROOT / "benches/results/detection.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs/detection.md").read_text(encoding="utf-8")


def entities() -> list[str]:
    theirs = RESULTS["entities"]["presidio"]
    lines = [
        "| entity | precision | recall | F1 | presidio: precision | recall | F1 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for entity, ours in RESULTS["entities"]["iron"].items():
        known = theirs[entity] if theirs[entity]["recall"] else dict.fromkeys(ours, "")
        cells = [*ours.values(), *known.values()]
        lines.append(f"| `{entity}` | {' | '.join(map(str, cells))} |")
    return lines


def attacks() -> list[str]:
    lines = ["| collection | attacks | logged | blocked |", "| --- | --- | --- | --- |"]
    for name, seen in RESULTS["injection"].items():
        lines.append(f"| {name} | {seen['texts']} | {seen['logged']} | {seen['blocked']} |")
    return lines


def mistakes() -> list[str]:
    lines = ["| what holds nothing | texts | blocked | logged as attacks |", "| --- | --- | --- | --- |"]
    for kind, seen in RESULTS["nothing"].items():
        lines.append(f"| {kind} | {seen['texts']:,} | {seen['blocked']} | {seen['logged_as_attacks']} |")
    return lines


def test_the_page_shows_what_was_measured():
    shown = PAGE.partition("<!-- results: begin -->")[2].partition("<!-- results: end -->")[0].split("\n")
    assert [line for line in shown if line.startswith("|")] == [*entities(), *mistakes(), *attacks()]
    secrets, speed = RESULTS["secrets"], RESULTS["megabytes_per_second"]
    text = " ".join("\n".join(shown).split())
    for figure in (
        f"detect-secrets finds {secrets['recall']} of the keys at a precision of {secrets['precision']}",
        f"{speed['iron']} MB/s, presidio {speed['presidio']}, detect-secrets {speed['detect-secrets']}",
        f"seed {RESULTS['seed']}",
    ):
        assert figure in text, figure


def test_every_entity_has_a_row():
    families = PAGE.partition("## Entities")[2].partition("`API_KEY` knows")[0]
    rows = [line for line in families.split("\n") if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row.split("|")[2])}
    # An attack is no value within a text: its collections have a table of their own.
    assert listed - {"PROMPT_INJECTION"} == set(RESULTS["entities"]["iron"])


def test_fewer_than_one_text_in_a_thousand_is_blocked_by_mistake():
    for kind, seen in RESULTS["nothing"].items():
        assert seen["texts"] >= 3_000, kind
        assert seen["blocked"] * 1_000 < seen["texts"], kind


def test_what_is_printed_in_a_form_is_found():
    for entity, ours in RESULTS["entities"]["iron"].items():
        # Keys are held against formats of another list, some of which are looser than any key is.
        assert ours["f1"] >= (0.85 if entity == "API_KEY" else 0.9), entity
