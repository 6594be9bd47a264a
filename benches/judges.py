"""Whoever is asked what a text holds: iron, presidio and detect-secrets."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from iron_sdk.__main__ import main as iron_command

EVERYTHING = '[[policy.rules]]\nwhat = ["*"]\naction = "log"\nthreshold = 0.5\n'
DEFAULTS = ""


class Found(NamedTuple):
    entity: str
    start: int
    end: int
    action: str = ""
    score: float = 1.0


def iron(
    texts: list[str], config: str = EVERYTHING, *, places: bool = True
) -> tuple[list[list[Found]], float]:
    """Ask `iron policy test` about each text, in this process; return findings, where wanted, and seconds."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        path, home, arguments = Path(folder) / "text", Path.cwd(), sys.argv
        (Path(folder) / "iron.toml").write_text(config, encoding="utf-8")
        printed, found = os.dup(1), []
        os.chdir(folder)
        sys.argv = ["iron", "policy", "test", "--json", "--file", "text"]
        seconds = 0.0
        try:
            for text in texts:
                path.write_bytes(text.encode())
                output.truncate(output.seek(0))
                os.dup2(output.fileno(), 1)
                began = time.perf_counter()
                code = iron_command()
                seconds += time.perf_counter() - began
                os.dup2(printed, 1)
                if code not in {0, 3}:
                    raise SystemExit(code)
                output.seek(0)
                findings = json.load(output)["findings"] if places else []
                found.append([told(text, finding) for finding in findings])
        finally:
            os.dup2(printed, 1)
            os.close(printed)
            os.chdir(home)
            sys.argv = arguments
        return found, seconds


def throughput(texts: list[str]) -> float:
    """Return how many MB/s iron judges as one long text; reading the configuration is not counted."""
    text = "\n".join(texts)
    text *= 20_000_000 // len(text) + 1

    def seconds(text: str) -> float:
        return min(iron([text], places=False)[1] for _ in range(3))

    return len(text.encode()) / 1e6 / (seconds(text) - seconds("Hello"))


def told(text: str, finding: dict) -> Found:
    """Count characters where the command counts bytes."""
    encoded = text.encode()
    start, end = (len(encoded[: finding[side]].decode()) for side in ("start", "end"))
    return Found(finding["entity"], start, end, finding["action"], finding["score"])


def presidio(texts: list[str]) -> tuple[list[list[Found]], float]:
    """Ask every pattern recognizer of presidio, with its words of context; return findings and seconds.

    Its language model, which finds names and places and brings words to their stems, is left out.
    """
    import spacy
    from presidio_analyzer import PatternRecognizer, predefined_recognizers
    from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
    from presidio_analyzer.nlp_engine import NlpArtifacts

    # It asks for the newest list of domains, and says at length that there is no network.
    logging.disable()
    words = spacy.blank("en")
    engine = SimpleNamespace(is_stopword=lambda *_: False, is_punct=lambda word, _: not word.isalnum())
    enhancer = LemmaContextAwareEnhancer()
    kinds = [getattr(predefined_recognizers, name) for name in sorted(predefined_recognizers.__all__)]
    recognizers = [
        kind()
        for kind in kinds
        if isinstance(kind, type)
        and (issubclass(kind, PatternRecognizer) or kind.__name__ == "PhoneRecognizer")
    ]
    began = time.perf_counter()
    found = []
    for text in texts:
        results = [
            result
            for recognizer in recognizers
            for result in recognizer.analyze(text, recognizer.supported_entities, None) or []
        ]
        tokens = words(text)
        lemmas = [token.text.lower() for token in tokens]
        places = [token.idx for token in tokens]
        artifacts = NlpArtifacts([], tokens, places, lemmas, engine, "en")
        results = enhancer.enhance_using_context(text, results, artifacts, recognizers)
        # Words of context raise a score to at least 0.4; telephone numbers have that without any.
        found.append([Found(r.entity_type, r.start, r.end) for r in results if r.score >= 0.4])
    return found, time.perf_counter() - began


def detect_secrets(texts: list[str]) -> tuple[list[bool], float]:
    """Ask detect-secrets, with default plugins, whether texts hold secrets; return answers and seconds."""
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    began = time.perf_counter()
    with default_settings():
        found = [any(True for line in text.splitlines() for _ in scan_line(line)) for text in texts]
    return found, time.perf_counter() - began
