"""Write what `rust/iron_runtime/src/detect/phones.txt` knows of the world's numbering plans.

It is taken from the metadata of Google's libphonenumber, as the package `phonenumbers` has it: for each
country code how long national numbers are, and which three digits they begin with. Run it where
`pip install --group detection` was run.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import phonenumbers
import regex
from phonenumbers import PhoneMetadata

TARGET = Path(__file__).parent.parent / "rust/iron_runtime/src/detect/phones.txt"
# What `is_valid_number` asks: the numbers of each kind, not the looser form that all of them have.
KINDS = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)
HEADER = """\
# Numbering plans: country code, lengths of national numbers, and the three digits that they begin with.
# Made by `benches/phones.py` from the metadata of https://github.com/google/libphonenumber: {version}.
"""


def ranges(heads: list[int]) -> str:
    """Write sorted numbers as ranges."""
    first = heads[:1] + [b for a, b in pairwise(heads) if b != a + 1]
    last = [a for a, b in pairwise(heads) if b != a + 1] + heads[-1:]
    return ",".join(f"{a:03}" if a == b else f"{a:03}-{b:03}" for a, b in zip(first, last, strict=True))


def plan(code: int) -> tuple[str, str]:
    """Return lengths and beginnings of the numbers of a country code."""
    regions = phonenumbers.region_codes_for_country_code(code)
    plans = [
        PhoneMetadata.metadata_for_nongeo_region(code)
        if region == "001"
        else PhoneMetadata.metadata_for_region(region)
        for region in regions
    ]
    lengths, heads = set(), set()
    kinds = [(metadata, getattr(metadata, kind)) for metadata in plans for kind in KINDS]
    for metadata, description in kinds:
        if not description or not description.national_number_pattern:
            continue
        own = description.possible_length or metadata.general_desc.possible_length
        lengths.update(length for length in own if length > 3)
        begins = regex.compile(description.national_number_pattern)
        heads.update(head for head in range(1000) if begins.fullmatch(f"{head:03}", partial=True))
    return ",".join(map(str, sorted(lengths))), ranges(sorted(heads))


def main() -> None:
    """Write the file."""
    lines = [HEADER.format(version=f"phonenumbers {phonenumbers.__version__}")]
    for code in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE, key=str):
        lengths, heads = plan(code)
        if lengths:
            lines.append(f"{code} {lengths} {heads}\n")
    TARGET.write_text("".join(lines), encoding="utf-8")
    sys.stdout.write(f"{len(lines) - 1} country codes\n")


if __name__ == "__main__":
    main()
