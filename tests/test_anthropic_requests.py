"""What is sent to Anthropic, held against the types of Anthropic's own client."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_params
from pydantic import TypeAdapter, ValidationError

FIXTURES = Path(__file__).parents[1] / "rust/iron_runtime/tests/golden/anthropic/requests"
REQUESTS = sorted(FIXTURES.glob("*.json"))
STABLE = TypeAdapter(message_create_params.MessageCreateParamsNonStreaming)
BETA = TypeAdapter(beta_params.MessageCreateParamsNonStreaming)

# The client's types are those of the newest models, which refuse them; the API takes them for older ones.
SAMPLING = {"temperature", "top_p", "top_k"}


def plain(value):
    """Read what is validated while it is read."""
    if isinstance(value, Mapping):
        return {name: plain(field) for name, field in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def known(types: TypeAdapter, body: dict) -> dict:
    """What the types know of a body: fields that they do not have are gone."""
    return plain(types.validate_python(body))


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_the_client_s_types_know_every_field_that_is_sent(path):
    sent = json.loads(path.read_text())["anthropic"]
    body = {name: field for name, field in sent.items() if name not in SAMPLING}
    uses_beta = "task_budget" in body.get("output_config", {})
    assert known(BETA if uses_beta else STABLE, body) == body


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (["metadata"], {"user_id": 7}),
        (["messages", 0, "role"], "developer"),
        (["messages", 1, "content", 1, "input"], "text"),
        (["tool_choice"], {"type": "required"}),
    ],
)
def test_the_types_would_see_what_is_wrong(place, wrong):
    body = json.loads((FIXTURES / "agent_loop.json").read_text())["anthropic"]
    *way, last = place
    holder = body
    for step in way:
        holder = holder[step]
    holder[last] = wrong
    with pytest.raises(ValidationError):
        known(STABLE, body)


def test_a_field_that_the_types_do_not_have_is_seen():
    body = json.loads((FIXTURES / "one_tool.json").read_text())["anthropic"]
    assert known(STABLE, {**body, "seed": 7}) != {**body, "seed": 7}
