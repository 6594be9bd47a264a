"""What the prompt of Python and notebooks show: facts, and neither what was said nor a key."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from decimal import Decimal

import pytest

import iron_sdk as iron
from iron_sdk._html import bar, table

KEY = "sk-very-secret"
PROMPT = "an unspeakable question"
SAID = "an unspeakable answer"


@pytest.fixture
async def shown(iron_simulator):
    """Everything that a program holds around a call."""
    call = {"name": "look", "arguments": {"at": SAID}}
    iron_simulator.set_rules(
        [{"times": 1, "reply": {"text": SAID}}, {"times": 2, "reply": {"tool_calls": [call]}}]
    )
    client = iron.Client(
        {}, base_url=iron_simulator.url, api_key=KEY, model="openai/gpt-6-luna", budget="1.00"
    )
    blocking = iron.SyncClient({}, base_url=iron_simulator.url, api_key=KEY, budget="2.00")
    events = iron.events()
    with iron.budget("0.50", name="<b>&") as budget:
        reply = await client.chat(PROMPT)
        tools = await client.chat(PROMPT)
        stream = client.stream(PROMPT)
        chunks = [chunk async for chunk in stream]
    vectors = await client.embed(PROMPT, model="openai/text-embedding-3-small")
    told = []
    while (
        not told or not isinstance(told[-1], iron.CallFinished) or told[-1].request_id != vectors.request_id
    ):
        told.append(await anext(events))
    events.close()
    return {
        "budget": budget,
        "client": client,
        "blocking": blocking,
        "reply": reply,
        "choices": reply.choices,
        "tools": tools.choices,
        "calls": tools.tool_calls,
        "deltas": [chunk.tool_calls for chunk in chunks],
        "stream": stream,
        "chunks": chunks,
        "vectors": vectors,
        "usage": reply.usage,
        "stats": client.stats(),
        "events": told,
        "reader": events,
    }


def forms(value):
    """Give the ways in which a value is shown."""
    html = getattr(value, "_repr_html_", None)
    return [repr(value), str(value), *([html()] if html else [])]


async def test_neither_what_was_said_nor_a_key_is_shown(shown):
    assert SAID in shown["reply"].text
    assert any(delta.arguments for deltas in shown["deltas"] for delta in deltas)
    for name, value in shown.items():
        for form in forms(value):
            assert form, name
            for hidden in (KEY, "secret", PROMPT, SAID, "unspeakable"):
                assert hidden not in form, (name, form)


async def test_each_repr_is_one_line_that_tells_the_most(shown):
    reply, usage = shown["reply"], shown["reply"].usage
    assert repr(reply) == (
        f"<Reply of openai/gpt-6-luna: {usage.input_tokens}+{usage.output_tokens} tokens, {reply.cost} USD>"
    )
    assert repr(shown["budget"]) == f"<Budget '<b>&': {shown['budget'].spent} spent, 0.00 held of 0.50 USD>"
    assert repr(shown["client"]) == f"<Client: 0 in flight, {shown['client'].budget.spent} spent of 1.00 USD>"
    assert repr(shown["blocking"]) == "<SyncClient: 0 in flight, 0.00 spent of 2.00 USD>"
    assert repr(iron.Client({})) == "<Client: 0 in flight>"
    assert repr(shown["stats"]).startswith("<Stats: 4 calls, 4 answered, 0 refused, 0 failed, ")
    assert repr(iron.Usage(7, 0, 0, 2, 1)) == "Usage(input_tokens=7, output_tokens=2, reasoning_tokens=1)"
    assert repr(shown["stream"]) == f"<ChatStream of {shown['stream'].request_id}>"
    for name, value in shown.items():
        assert "\n" not in repr(value), name


async def test_html_is_well_formed_escaped_and_without_colours_of_its_own(shown):
    for name in ("budget", "client", "blocking", "reply", "vectors", "stats"):
        html = shown[name]._repr_html_()
        text = "".join(ET.fromstring(f"<div>{html}</div>").itertext())
        assert "color:" not in html.replace("currentColor", ""), name
        assert text
    assert "Budget &lt;b&gt;&amp;" in shown["budget"]._repr_html_()
    assert f"{shown['reply'].cost} USD, settled" in shown["reply"]._repr_html_()


def test_names_and_facts_are_escaped():
    html = table("<script>", {"<i>": "a & b"})
    assert html.count("<script>") == html.count("<i>") == 0
    assert "".join(ET.fromstring(html).itertext()) == "<script><i>a & b"


@pytest.mark.parametrize(
    ("limit", "parts", "widths"),
    [
        ("2", ("0.5", "1"), ["25.00%", "50.00%"]),
        ("1", ("1.5", "1"), ["100.00%", "0.00%"]),
        ("0", ("0", "0"), ["100.00%", "0.00%"]),
    ],
    ids=["within", "beyond", "none"],
)
def test_a_bar_never_leaves_its_frame(limit, parts, widths):
    html = bar(Decimal(limit), *map(Decimal, parts))
    assert [span.get("style").split("width:")[1].split(";")[0] for span in ET.fromstring(html)] == widths
