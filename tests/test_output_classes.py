"""Classes as what output has to be: what they refuse beyond their schema, and what becomes of that."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import json
import threading
import typing

import pydantic
import pytest
import typing_extensions
from waiting import until, until_blocking

import iron_sdk as iron

MODEL = "openai/gpt-6-luna"
EVEN, ODD = '{"number": 2}', '{"number": 77777}'

asked: list[int] = []


@pytest.fixture(autouse=True)
def nobody_asked():
    asked.clear()


class Even(pydantic.BaseModel):
    number: int

    @pydantic.field_validator("number")
    @classmethod
    def is_even(cls, number: int) -> int:
        asked.append(number)
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number


@dataclasses.dataclass
class EvenToo:
    number: int

    def __post_init__(self):
        asked.append(self.number)
        if self.number % 2:
            raise ValueError(f"{self.number} is odd")


both = pytest.mark.parametrize("kind", [Even, EvenToo])


def judged_by(judge):
    """Give a class that a function has a word on."""

    @dataclasses.dataclass
    class Judged:
        number: int

        def __post_init__(self):
            judge(self.number)

    return Judged


def answers(*texts):
    return [{"reply": {"text": list(texts)}}]


def sent_back(simulator):
    """Give what the model was told in the last request."""
    return simulator.requests()[-1]["body"]["messages"][-1]["content"]


@both
async def test_what_a_class_refuses_raises_without_the_text(iron_client, iron_simulator, kind):
    iron_simulator.set_rules(answers(ODD))
    with iron.budget(1) as budget, pytest.raises(iron.OutputInvalidError) as caught:
        await iron_client.chat("Which?", response_format=kind)
    error = caught.value
    shown = ("number", "value_error") if kind is Even else ("", "ValueError")
    assert error.violations == (iron.Violation(shown[0], f"the class refuses it: {shown[1]}"),)
    assert isinstance(error.__cause__, pydantic.ValidationError if kind is Even else ValueError)
    assert "77777 is odd" in str(error.__cause__)
    assert (error.repairs, error.finish_reason, error.retryable) == (0, None, True)
    assert error.cost == budget.spent > 0
    assert "77777" not in f"{error!r}{error}{vars(error)}"


@both
async def test_what_is_taken_was_made_once(iron_client, iron_simulator, kind):
    iron_simulator.set_rules(answers(EVEN))
    reply = await iron_client.chat("Which?", response_format=kind)
    assert reply.parsed == kind(number=2)
    assert reply.parsed is reply.parsed
    # Once for the reply, and once by this test.
    assert asked == [2, 2]


@both
async def test_what_a_class_refuses_is_repaired_and_paid_for(iron_client, iron_simulator, kind):
    iron_simulator.set_rules(answers('{"number": "x"}', ODD, EVEN))
    with iron.budget(1) as budget:
        reply = await iron_client.chat("Which?", response_format=kind, max_repairs=2)
    assert reply.parsed == kind(number=2)
    assert (reply.repairs, reply.attempts) == (2, 3)
    assert reply.cost == budget.spent
    # It counts what it has sent, which may come before that.
    await until(lambda: iron_simulator.stats()["output_tokens"] == reply.usage.output_tokens)
    # The model may be told what it has said.
    told = "number: Value error, 77777 is odd" if kind is Even else "77777 is odd"
    assert f"\n- {told}\n" in sent_back(iron_simulator)


async def test_the_last_refusal_is_the_cause(iron_client, iron_simulator):
    iron_simulator.set_rules(answers(ODD, '{"number": 3}', '{"number": "x"}'))
    with pytest.raises(iron.OutputInvalidError) as caught:
        await iron_client.chat("Which?", response_format=Even, max_repairs=1)
    assert "3 is odd" in str(caught.value.__cause__)
    assert caught.value.repairs == 1
    iron_simulator.set_rules(answers(ODD, '{"number": "x"}'))
    with pytest.raises(iron.OutputInvalidError, match="is not of type") as caught:
        await iron_client.chat("Which?", response_format=Even, max_repairs=1)
    assert caught.value.__cause__ is None


async def test_what_keeps_it_from_being_repaired_is_the_cause(iron_client, iron_simulator):
    iron_simulator.set_rules(answers(ODD))
    one = iron_client.estimate("Which?", response_format=Even, max_tokens=100).cost
    with iron.budget(one), pytest.raises(iron.OutputInvalidError) as caught:
        await iron_client.chat("Which?", response_format=Even, max_repairs=1, max_tokens=100)
    assert isinstance(caught.value.__cause__, iron.BudgetExceededError)


async def test_keys_of_the_model_are_told_to_it_alone(iron_client, iron_simulator):
    class Counts(pydantic.BaseModel):
        by_name: dict[str, Even]

    iron_simulator.set_rules(answers('{"by_name": {"Ada": {"number": 3}}}'))
    with pytest.raises(iron.OutputInvalidError) as caught:
        await iron_client.chat("Which?", response_format=Counts, max_repairs=1)
    assert [violation.path for violation in caught.value.violations] == ["by_name.*.number"]
    assert "- by_name.Ada.number: Value error, 3 is odd" in sent_back(iron_simulator)


async def test_what_is_told_is_bounded(iron_client, iron_simulator):
    class Many(pydantic.BaseModel):
        all: list[Even]

    iron_simulator.set_rules(answers(json.dumps({"all": [{"number": 1}] * 1000})))
    with pytest.raises(iron.OutputInvalidError) as caught:
        await iron_client.chat("Which?", response_format=Many, max_repairs=1)
    assert len(caught.value.violations) == 16
    assert sent_back(iron_simulator).count("\n- ") == 16


async def test_values_behind_placeholders_are_not_sent_back(iron_simulator):
    class Mail(pydantic.BaseModel):
        to: str

        @pydantic.field_validator("to")
        @classmethod
        def is_joe(cls, to: str) -> str:
            if not to.startswith("joe"):
                # No detector would know it again.
                raise ValueError(f"{to.replace('@', ' at ')} is not joe")
            return to

    rules = [{"name": "mail", "what": ["EMAIL_ADDRESS"], "action": "pseudonymize"}]
    iron_simulator.set_rules(answers('{"to": "[EMAIL_ADDRESS_1]"}', '{"to": "[EMAIL_ADDRESS_2]"}'))
    client = iron.Client({"policy": {"rules": rules}}, base_url=iron_simulator.url, api_key="k", model=MODEL)
    asking = "jane@example.org or joe@example.org?"
    reply = await client.chat(asking, response_format=Mail, max_repairs=1)
    assert reply.parsed == Mail(to="joe@example.org")
    assert "- to: the class refuses it: value_error" in sent_back(iron_simulator)
    assert "jane" not in json.dumps(iron_simulator.requests())


async def test_all_choices_are_judged_and_the_first_is_parsed(iron_client, iron_simulator):
    iron_simulator.set_rules(answers(EVEN))
    reply = await iron_client.chat("Which?", response_format=Even, n=2)
    assert reply.parsed == Even(number=2)
    iron_simulator.set_rules(answers(ODD))
    with pytest.raises(iron.OutputInvalidError) as caught:
        await iron_client.chat("Which?", response_format=Even, n=2)
    paths = [violation.path for violation in caught.value.violations]
    assert paths == ["choices[0].number", "choices[1].number"]


async def test_without_validation_it_is_asked_when_parsed_is_read(iron_client, iron_simulator):
    iron_simulator.set_rules(answers(ODD))
    reply = await iron_client.chat("Which?", response_format=Even, validate_output=False)
    assert asked == []
    with pytest.raises(iron.OutputInvalidError, match="number: the class refuses it: value_error") as caught:
        _ = reply.parsed
    assert caught.value.cost == reply.cost
    assert isinstance(caught.value.__cause__, pydantic.ValidationError)
    assert "77777" not in f"{caught.value!r}{caught.value}{vars(caught.value)}"


async def test_of_a_stream_it_is_asked_when_parsed_is_read(iron_client, iron_simulator):
    iron_simulator.set_rules(answers(ODD))
    reply = await iron_client.stream("Which?", response_format=Even).reply()
    assert asked == []
    with pytest.raises(iron.OutputInvalidError, match="number: the class refuses it"):
        _ = reply.parsed


class Fault(BaseException):
    pass


@pytest.mark.parametrize("kind", [KeyError, asyncio.CancelledError, KeyboardInterrupt, SystemExit, Fault])
async def test_one_that_fails_is_no_word_and_nothing_is_repaired(iron_client, iron_simulator, kind):
    def fail(_):
        raise kind("Ada")

    iron_simulator.set_rules(answers(EVEN))
    with pytest.raises(iron.OutputInvalidError, match=f"was not validated: {kind.__name__}$") as caught:
        await iron_client.chat("Which?", response_format=judged_by(fail), max_repairs=3)
    assert type(caught.value.__cause__) is kind
    assert len(iron_simulator.requests()) == 1


async def test_an_error_that_cannot_be_read_is_no_word(iron_client, iron_simulator):
    class UnreadableError(ValueError):
        def __str__(self):
            raise RuntimeError("no")

    def refuse(_):
        raise UnreadableError

    iron_simulator.set_rules(answers(EVEN))
    with pytest.raises(iron.OutputInvalidError, match=r"was not validated: RuntimeError$"):
        await iron_client.chat("Which?", response_format=judged_by(refuse))


async def test_one_that_blocks_holds_up_neither_loop_nor_deadline(iron_client, iron_simulator):
    never = threading.Event()
    iron_simulator.set_rules(answers(EVEN))
    with pytest.raises(iron.OutputInvalidError, match="was not validated in time") as caught:
        await iron_client.chat("Which?", response_format=judged_by(lambda _: never.wait()), timeout=0.5)
    assert caught.value.cost > 0
    never.set()


async def test_a_call_that_is_cancelled_meanwhile_is_paid_for(iron_client, iron_simulator):
    began, never = threading.Event(), threading.Event()

    def block(_):
        began.set()
        never.wait()

    iron_simulator.set_rules(answers(EVEN))
    with iron.budget(1) as budget:
        call = asyncio.ensure_future(iron_client.chat("Which?", response_format=judged_by(block)))
        await until(began.is_set)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: iron_client.in_flight == 0)
    assert budget.spent > 0
    assert budget.held == 0
    never.set()


async def test_it_sees_the_context_of_the_caller(iron_client, iron_simulator):
    tenant = contextvars.ContextVar("tenant")
    seen = []
    iron_simulator.set_rules(answers(EVEN))
    kind = judged_by(lambda _: seen.append((tenant.get(), threading.current_thread())))

    async def call(name):
        tenant.set(name)
        await iron_client.chat("Which?", response_format=kind)

    await asyncio.gather(*(call(number) for number in range(20)))
    assert sorted(name for name, _ in seen) == list(range(20))
    assert threading.main_thread() not in {thread for _, thread in seen}


@both
def test_code_without_a_loop(iron_simulator, kind):
    iron_simulator.set_rules(answers(ODD, EVEN, ODD))
    with iron.SyncClient(base_url=iron_simulator.url, api_key="k", model=MODEL) as client:
        reply = client.chat("Which?", response_format=kind, max_repairs=1)
        assert (reply.parsed, reply.repairs) == (kind(number=2), 1)
        with pytest.raises(iron.OutputInvalidError) as caught:
            client.chat("Which?", response_format=kind)
        assert "77777 is odd" in str(caught.value.__cause__)
        until_blocking(lambda: client.in_flight == 0)


def test_one_may_make_calls_and_one_that_asks_itself_is_told(iron_simulator):
    client = iron.SyncClient(base_url=iron_simulator.url, api_key="k", model=MODEL)
    iron_simulator.set_rules(answers(EVEN))
    other = judged_by(lambda _: client.chat("May it?", response_format=Even))
    assert client.chat("Which?", response_format=other).parsed.number == 2
    again = judged_by(lambda _: client.chat("Which?", response_format=again))
    with pytest.raises(iron.OutputInvalidError) as caught:
        client.chat("Which?", response_format=again)
    assert "give that call another class" in str(caught.value.__cause__.__cause__)


async def test_refusals_of_the_model_are_not_judged(iron_client, iron_simulator):
    iron_simulator.set_rules([{"reply": {"refusal": "No."}}])
    assert (await iron_client.chat("Which?", response_format=Even)).parsed is None
    assert asked == []


class Place(typing.TypedDict):
    name: str
    size: float


@dataclasses.dataclass
class Guide:
    best: Place


class Trip(typing_extensions.TypedDict, total=False):
    places: list[Place]
    guide: Guide | None
    note: typing_extensions.NotRequired[str | None]


async def test_a_typed_dict_is_parsed(iron_client, iron_simulator):
    place = {"name": "Oslo", "size": 1}
    given = {"places": [place], "guide": {"best": place}, "note": None}
    iron_simulator.set_rules(answers(json.dumps(given)))
    reply = await iron_client.chat("Where?", response_format=Trip)
    place = {"name": "Oslo", "size": 1.0}
    assert reply.parsed == {"places": [place], "guide": Guide(place), "note": None}
    assert type(reply.parsed["places"][0]["size"]) is float
    described = iron_simulator.requests()[-1]["body"]["response_format"]["json_schema"]
    assert (described["name"], described["strict"]) == ("Trip", True)
    assert described["schema"]["required"] == ["places", "guide", "note"]
    assert described["schema"]["$defs"]["Place"]["additionalProperties"] is False


async def test_what_is_no_such_dict_is_told(iron_client, iron_simulator):
    iron_simulator.set_rules(answers('{"name": "Oslo"}'))
    with pytest.raises(iron.OutputInvalidError, match='"size" is a required property'):
        await iron_client.chat("Where?", response_format=Place)
    reply = await iron_client.chat("Where?", response_format=Place, validate_output=False)
    with pytest.raises(iron.OutputInvalidError, match="the class refuses it: ValueError") as caught:
        _ = reply.parsed
    assert str(caught.value.__cause__) == "Place lacks size"


@pytest.mark.parametrize("kind", [dict, typing.TypedDict("Odd", {"when": complex}), int])
async def test_classes_that_say_nothing_of_output_are_refused(iron_client, iron_simulator, kind):
    with pytest.raises(iron.ConfigError, match=r"TypedDict$"):
        await iron_client.chat("Where?", response_format=kind)
    assert not iron_simulator.requests()
