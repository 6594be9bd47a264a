"""What calls give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from iron_sdk._errors import OutputInvalidError, Violation
from iron_sdk._html import table
from iron_sdk._override import override

if TYPE_CHECKING:
    from decimal import Decimal

    from iron_sdk import _iron
    from iron_sdk._output import NativeWrong, Output

Money: TypeAlias = "str | int | Decimal"
"""US dollars: text such as `"0.50"`, whole dollars, or a Decimal; never a float, which loses digits."""

Message: TypeAlias = "dict[str, Any]"
"""A message as OpenAI shapes it: `role`, `content`, and what else belongs to the role."""

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call used, as the provider counted it."""

    # Rust gives the counts in the order of these fields.
    input_tokens: int
    """All input, of whatever kind: cached, written to the cache, sound, images."""
    cached_input_tokens: int
    """Input that the provider had cached."""
    cache_write_tokens: int
    """Input that the provider wrote to its cache, for however long."""
    output_tokens: int
    """All output, reasoning included."""
    reasoning_tokens: int
    """Output that the model spent on reasoning."""
    cache_write_1h_tokens: int = 0
    """Of `cache_write_tokens`, what is kept for an hour or longer, where that has another price."""
    audio_input_tokens: int = 0
    """Input that was sound."""
    image_input_tokens: int = 0
    """Input that was images, where the provider counts it by itself."""
    audio_output_tokens: int = 0
    """Output that is sound."""
    image_output_tokens: int = 0
    """Output that is images."""
    web_searches: int = 0
    """Web searches that the provider ran and bills by the piece."""
    file_searches: int = 0
    """Searches in files that the provider ran."""
    code_executions: int = 0
    """Programs that the provider ran."""

    @override
    def __repr__(self) -> str:
        always = ("input_tokens", "output_tokens")
        counts = {name: getattr(self, name) for name in self.__slots__}
        shown = (f"{name}={count}" for name, count in counts.items() if count or name in always)
        return f"Usage({', '.join(shown)})"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call would reserve, were it made now."""

    cost: Decimal
    """What one request costs at most, in US dollars."""
    least_cost: Decimal
    """What a budget has to have left: less than `cost` without `max_tokens`, which is then lowered."""
    input_tokens: int
    """Input at most."""
    output_tokens: int
    """Output at most, all choices together."""
    upstream: str
    """The upstream it is of, `provider/model`: of a route, the one where the call may cost most."""
    priced: bool
    """Whether the model has a price; without one (`budget.unpriced = "allow"`) it counts as free."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time of a call went, in seconds."""

    total: float
    """From admission to the settled reply."""
    queued: float
    """Waiting for a rate limit, for budget held by other calls, or between attempts."""
    upstream: float
    """From the first byte sent to the provider to the last received, all attempts together."""
    overhead: float
    """What governing the call took: the rest."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule of the policy found in a text of the call, and what was done; never the text."""

    # Rust gives them in this order.
    entity: str
    """What it is: `EMAIL_ADDRESS`, `API_KEY`, `keyword:NAME`, ..."""
    direction: str
    """Where the text went: `input`, `output`, `tool_arguments` or `tool_results`."""
    action: str
    """What was done: `log`, `mask`, `pseudonymize`, `hash`, `redact`."""
    rule: str
    """The rule that decided."""
    score: float
    """How sure it is, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model wants called."""

    id: str
    """To be given back as `tool_call_id` with the result."""
    name: str
    """The function's name."""
    arguments: str = field(repr=False)
    """JSON text as the model wrote it, which need not be valid."""

    def parsed_arguments(self) -> dict[str, Any]:
        """Read the arguments.

        Returns:
            The arguments by name.

        Raises:
            ValueError: The model wrote something other than a JSON object.
        """
        arguments = read_json(self.arguments or "{}")
        if not isinstance(arguments, dict):
            raise ValueError(f"the arguments of {self.name!r} are not a JSON object")  # noqa: TRY004 - the text is wrong
        return cast("dict[str, Any]", arguments)


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """What one chunk adds to a tool call."""

    index: int
    """Which of the choice's tool calls, from 0."""
    id: str | None
    """On the first delta of a call."""
    name: str | None
    """On the first delta of a call."""
    arguments: str = field(repr=False)
    """The next piece of the arguments' JSON text."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a reply's alternatives."""

    index: int
    """Its number, from 0."""
    message: Message = field(repr=False)
    """The message as the provider sent it."""
    finish_reason: str | None
    """Why it ended: `stop`, `length`, `tool_calls`, `content_filter`, ..."""

    @property
    def text(self) -> str:
        """What the message says; empty if it says nothing."""
        return _said(self.message)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Functions that the message wants called."""
        return _tool_calls(self.message)


class Governed:
    """What governing a call found out, beside the provider's body."""

    __slots__ = ("_body", "_native")

    def __init__(self, native: _iron.Reply) -> None:
        self._native = native
        self._body: Any = None

    @property
    def usage(self) -> Usage:
        """Tokens, as the provider counted them."""
        return Usage(*self._native.usage())

    @property
    def cost(self) -> Decimal:
        """What the call cost in US dollars, all attempts together; exact."""
        from decimal import Decimal

        return Decimal(self._native.cost())

    @property
    def settlement(self) -> str:
        """How sure the cost is.

        `settled`: from the provider's own usage. `estimated`: counted, an upper bound. `in_doubt`: unknown,
        so that the whole reservation is taken as spent.
        """
        return self._native.settlement()

    @property
    def attempts(self) -> int:
        """Requests sent, on all upstreams together."""
        return self._native.attempts()

    @property
    def upstream(self) -> str:
        """The upstream that answered: `provider/model`."""
        return self._native.upstream()

    @property
    def request_id(self) -> str:
        """The call's id."""
        return self._native.request_id()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was done otherwise than asked, each a sentence."""
        return self._native.warnings()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the rules of the policy found in the call's texts, in order; empty without rules."""
        return tuple(Finding(*fields) for fields in self._native.findings())

    @property
    def timing(self) -> Timing:
        """Where the time went."""
        return Timing(*self._native.timing())

    @property
    def raw(self) -> bytes:
        """The provider's own body, untouched; of a stream, the same body put together from its events.

        Where a rule changed the reply it is the changed body: the provider's would tell what was taken out.
        """
        return self._native.raw()

    def json(self) -> dict[str, Any]:
        """Read the body as OpenAI shapes it: the provider's own, if it speaks OpenAI's protocol.

        Returns:
            The body as a dict, the same one at each call.
        """
        if self._body is None:
            self._body = read_json(self._native.body())
        return cast("dict[str, Any]", self._body)


class Reply(Governed, Generic[T_co]):
    """The reply to a chat. Everything is read from the provider's body when it is asked for."""

    __slots__ = ("_output", "_parsed")

    def __init__(self, native: _iron.Reply, output: Output | None = None) -> None:
        # Not through the base class: this is done for each call.
        self._native = native
        self._body = None
        self._output = output
        self._parsed: T_co | None = None

    @property
    def text(self) -> str:
        """What the first choice says; empty if it says nothing, as when it only calls tools."""
        return self._native.text()

    @property
    def parsed(self) -> T_co | None:
        """The text as an instance of the class given as `response_format`.

        None without such a class, and when there is no output (a refusal, a tool call).

        Raises:
            OutputInvalidError: The class refuses the text of a stream, or of a reply that was not validated;
                what the class raised is the `__cause__`, whose message may quote the text.
        """
        output = self._output
        if self._parsed is None and output is not None and (text := self.text) and not self.tool_calls:
            try:
                self._parsed = output.read(text)
            except ValueError as error:
                raise self._refused(output.wrong(error)) from error
        return self._parsed

    def _refused(self, wrong: list[NativeWrong]) -> OutputInvalidError:
        # Never what the model would be told: it may quote the text.
        violations = tuple(Violation(*shown) for shown, _ in wrong)
        return OutputInvalidError(
            f"the answer of {self.upstream} is refused by the class of response_format: {violations[0]}",
            violations=violations,
            repairs=self.repairs,
            cost=self.cost,
            upstream=self.upstream,
            request_id=self.request_id,
            retryable=True,
        )

    @property
    def repairs(self) -> int:
        """Answers before this one that were sent back; `usage` and `cost` are those of all together."""
        return self._native.repairs()

    @property
    def message(self) -> Message:
        """The first choice's message as the provider sent it, ready to be appended to a conversation."""
        return self.choices[0].message

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Functions that the first choice wants called."""
        return self.choices[0].tool_calls

    @property
    def finish_reason(self) -> str | None:
        """Why the first choice ended: `stop`, `length`, `tool_calls`, `content_filter`, ..."""
        return self.choices[0].finish_reason

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All `n` choices."""
        return tuple(
            Choice(choice.get("index", position), choice["message"], choice.get("finish_reason"))
            for position, choice in enumerate(self.json()["choices"])
        )

    @override
    def __repr__(self) -> str:
        usage = self.usage
        tokens = f"{usage.input_tokens}+{usage.output_tokens} tokens"
        return f"<Reply of {self.upstream}: {tokens}, {self._native.cost()} USD>"

    def _repr_html_(self) -> str:
        return facts("Reply", self, {"finish reason": self.finish_reason or "none"})


def facts(title: str, governed: Governed, rows: dict[str, str]) -> str:
    """Lay out for a notebook what governing found out: not what was said, which a notebook would keep."""
    usage, timing = governed.usage, governed.timing
    return table(
        f"{title} of {governed.upstream}",
        {
            **rows,
            "tokens": f"{usage.input_tokens:,} in, {usage.output_tokens:,} out",
            "cost": f"{governed.cost} USD, {governed.settlement}",
            "requests": f"{governed.attempts}",
            "time": f"{timing.total:.3f} s, of which {timing.overhead * 1e6:.0f} µs governing",
            "warnings": " ".join(governed.warnings) or "none",
            "id": governed.request_id,
        },
    )


def read_json(text: str | bytes) -> object:
    """Read JSON; its module is imported when there is some."""
    import json

    return cast("object", json.loads(text))


def _said(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = cast("list[dict[str, Any]]", content)
        return "".join(part.get("text") or "" for part in parts)
    return content or ""


def _tool_calls(message: Message) -> tuple[ToolCall, ...]:
    calls = message.get("tool_calls") or ()
    return tuple(
        ToolCall(call.get("id") or "", call["function"]["name"], call["function"].get("arguments") or "")
        for call in calls
        if "function" in call
    )


def tool_call_deltas(event: bytes, index: int) -> tuple[ToolCallDelta, ...]:
    """Read what an event adds to the tool calls of choice `index`."""
    body = cast("dict[str, Any]", read_json(event))
    choices: list[dict[str, Any]] = body.get("choices") or []
    added: list[dict[str, Any]] = []
    for choice in choices:
        if choice.get("index", 0) == index:
            delta: dict[str, Any] = choice.get("delta") or {}
            added += delta.get("tool_calls") or ()
    return tuple(_delta(position, delta) for position, delta in enumerate(added))


def _delta(position: int, delta: dict[str, Any]) -> ToolCallDelta:
    function: dict[str, Any] = delta.get("function") or {}
    index: int = delta.get("index", position)
    return ToolCallDelta(index, delta.get("id"), function.get("name"), function.get("arguments") or "")
