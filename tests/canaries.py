"""Canaries: what a run is given and must write nowhere, and every form in which it would be found."""

from __future__ import annotations

import base64
import json
import urllib.parse

# Each is found nowhere else, and begins or ends at no boundary of its own in base64.
CANARIES = {
    "key": "sk-Kq7canaryProviderKey93xZ",
    "other": "sk-ant-anotherCanaryKeyOfTheEnvironment4w",
    "header": "header/canary+value 51",
    "prompt": 'the "prompt" canary of Øyvind',
    "secret": "AKIAQ3EGRZ2VMX7LTWHB",
    "mail": "canary.person@example.org",
    "result": "a canary of what a tool has found",
    "said": "AKIAQ7ZT4NVB2KXHPWCR",
    "reply": "a reply canary, said once",
    "arguments": "tool argument canary 77",
    "answer": "canary.of.arguments@example.org",
    "query": "canary-in-a-query-4711",
    "address": "passwordInAnAddressCanary3",
    "proxy": "proxyPasswordCanary8",
    "raised": "a callback canary, raised",
    "misplaced": "sk-misplacedCanaryKey55wQ",
    "output": "an invalid output canary",
}


def forms(text):
    """Give every form in which a text is looked for."""
    raw = text.encode()
    found = {raw, json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}
    found |= {urllib.parse.quote(text, safe="").encode()}
    found.add(urllib.parse.quote(text).encode())
    found |= {urllib.parse.quote_plus(text).encode(), raw.hex().encode(), raw.hex().upper().encode()}
    found |= {repr(text)[1:-1].encode(), repr(raw)[2:-1].encode()}
    for before in range(3):
        # What stands before it and behind it decides on the first and the last characters.
        coded = base64.b64encode(b"\0" * before + raw)
        found.add(coded[4 if before else 0 : len(coded) // 4 * 4 - 4])
        found.add(
            coded[4 if before else 0 : len(coded) // 4 * 4 - 4].translate(bytes.maketrans(b"+/", b"-_"))
        )
    return found


def leaks(data):
    """Name the canaries that are in some bytes."""
    return {name for name, text in CANARIES.items() if any(form in data for form in forms(text))}
