"""The exception tree.

IronError
├── ConfigError (also ValueError)
├── PolicyError
│   ├── PolicyDeniedError
│   ├── ContentBlockedError
│   └── DetectorError
├── BudgetError
│   ├── BudgetExceededError
│   └── LedgerError
├── RateLimitError
├── UpstreamError
│   ├── UpstreamTimeoutError (also TimeoutError)
│   ├── UpstreamConnectionError (also ConnectionError)
│   ├── UpstreamStatusError
│   ├── OutputInvalidError (also ValueError)
│   └── NoUpstreamError
├── AuditError
├── ClosedError
│   └── ForkedProcessError
└── InternalError
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from iron_sdk._override import override

if TYPE_CHECKING:
    from decimal import Decimal


class IronError(Exception):
    """Base of every error that iron_sdk raises.

    Attributes:
        code: Stable snake_case text that names the kind of error.
        request_id: The call's id; None for errors outside a call.
        retryable: Whether the same call may succeed later, unchanged.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str = "", *, request_id: str | None = None, retryable: bool = False) -> None:
        super().__init__(message)
        self.request_id = request_id
        self.retryable = retryable

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only constructors do not survive the default, which passes `args` alone.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[IronError], args: tuple[Any, ...], fields: dict[str, Any]) -> IronError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(fields)
    return error


class ConfigError(IronError, ValueError):
    """Wrong configuration or arguments; the message says what, where, and what would be right."""

    code = "config"


class PolicyError(IronError):
    """A policy refused the call."""


class PolicyDeniedError(PolicyError):
    """A rule refused what a call asks for, or what its reply would do.

    Attributes:
        rule: Name of the rule, or the key of the setting that is one.
        direction: Where it was going: `input`, `output`, `tool_arguments` or `tool_results`.
        tool: The tool that is refused; None if it is none.
    """

    code = "policy_denied"

    def __init__(
        self,
        message: str = "",
        *,
        rule: str = "",
        direction: str = "",
        tool: str | None = None,
        request_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, request_id=request_id, retryable=retryable)
        self.rule = rule
        self.direction = direction
        self.tool = tool


class ContentBlockedError(PolicyError):
    """A rule of the policy refused a text of the call.

    A text on its way to the model: no request was made. A reply: it was paid for, and is not shown.

    Attributes:
        rule: Name of the rule.
        direction: Where the text went: `input`, `output`, `tool_arguments` or `tool_results`.
        entity: What the rule found in it.
    """

    code = "content_blocked"

    def __init__(
        self,
        message: str = "",
        *,
        rule: str = "",
        direction: str = "",
        entity: str = "",
        request_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, request_id=request_id, retryable=retryable)
        self.rule = rule
        self.direction = direction
        self.entity = entity


class DetectorError(PolicyError):
    """A detector of your own did not judge a text of the call, which is refused for it.

    It raised, which is then the `__cause__`, took too long, or gave something else than findings. A text on
    its way to the model: no request was made. A reply: it was paid for, and is not shown. Retryable only if
    it took too long.

    Attributes:
        detector: Its name.
        direction: Where the text went: `input`, `output`, `tool_arguments` or `tool_results`.
    """

    code = "detector_failed"

    def __init__(
        self,
        message: str = "",
        *,
        detector: str = "",
        direction: str = "",
        request_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, request_id=request_id, retryable=retryable)
        self.detector = detector
        self.direction = direction


class BudgetError(IronError):
    """A budget refused the call."""


class BudgetExceededError(BudgetError):
    """The call could not be afforded; no request was made.

    Retryable only if it could have been afforded, but not before its deadline.

    Attributes:
        budget: Name of the budget that refused.
        limit: Its limit, in US dollars like the following.
        settled: What calls have cost so far.
        held: What calls in flight may still cost.
        estimate: The least that the call would have reserved.
    """

    code = "budget_exceeded"

    def __init__(
        self,
        message: str = "",
        *,
        budget: str = "",
        limit: Decimal | None = None,
        settled: Decimal | None = None,
        held: Decimal | None = None,
        estimate: Decimal | None = None,
        request_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, request_id=request_id, retryable=retryable)
        self.budget = budget
        self.limit = limit
        self.settled = settled
        self.held = held
        self.estimate = estimate


class LedgerError(BudgetError):
    """The ledger file of a budget cannot be read or written; no request was made.

    The message names the file and what to do; `__cause__` says what the system answered.
    """

    code = "ledger"


class RateLimitError(IronError):
    """A rate limit refused the call.

    Attributes:
        retry_after: Seconds until trying again makes sense; None if unknown.
        upstream: The upstream whose limit it is; None for a limit of the configuration.
    """

    code = "rate_limited"

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: float | None = None,
        upstream: str | None = None,
        request_id: str | None = None,
        retryable: bool = True,
    ) -> None:
        super().__init__(message, request_id=request_id, retryable=retryable)
        self.retry_after = retry_after
        self.upstream = upstream


class UpstreamError(IronError):
    """The provider did not give a reply.

    Attributes:
        upstream: `provider/model`; None if several were asked.
    """

    def __init__(
        self,
        message: str = "",
        *,
        upstream: str | None = None,
        request_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, request_id=request_id, retryable=retryable)
        self.upstream = upstream


class UpstreamTimeoutError(UpstreamError, TimeoutError):
    """The provider did not answer in time.

    Attributes:
        phase: What took too long: `connect`, `first_byte`, `idle` or `total`.
    """

    code = "upstream_timeout"

    def __init__(
        self,
        message: str = "",
        *,
        phase: str = "total",
        upstream: str | None = None,
        request_id: str | None = None,
        retryable: bool = True,
    ) -> None:
        super().__init__(message, upstream=upstream, request_id=request_id, retryable=retryable)
        self.phase = phase


class UpstreamConnectionError(UpstreamError, ConnectionError):
    """The provider could not be reached, or the connection broke; `__cause__` says how."""

    code = "upstream_connection"


class UpstreamStatusError(UpstreamError):
    """The provider answered with an error status, or with a body that is not a reply.

    Attributes:
        status: The HTTP status.
        body: The provider's own body, at most 64 KiB of it.
    """

    code = "upstream_status"

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        body: bytes = b"",
        upstream: str | None = None,
        request_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, upstream=upstream, request_id=request_id, retryable=retryable)
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where an output is not what was asked for; never a word of the output."""

    path: str
    """The place, such as `items[0].price`, with `*` for a key that no schema names; empty for the whole."""
    message: str
    """What is wrong there."""

    @override
    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class OutputInvalidError(UpstreamError, ValueError):
    """The reply is not what `response_format` asks for; it was paid for, and is not shown.

    Retryable unless it was cut off: the same bound would cut it again. `__cause__` is what a class given as
    `response_format` raised, whose message may quote the reply, or what kept the answer from being repaired.

    Attributes:
        violations: Where it is something else.
        finish_reason: Why it ended before its end, `length` or `content_filter`; None if it did not.
        repairs: How often the model was told what is wrong, and asked again.
        cost: What the call cost in US dollars, all attempts together; None for what was read later.
    """

    code = "output_invalid"

    def __init__(
        self,
        message: str = "",
        *,
        violations: tuple[Violation, ...] = (),
        finish_reason: str | None = None,
        repairs: int = 0,
        cost: Decimal | None = None,
        upstream: str | None = None,
        request_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, upstream=upstream, request_id=request_id, retryable=retryable)
        self.violations = violations
        self.finish_reason = finish_reason
        self.repairs = repairs
        self.cost = cost


class NoUpstreamError(UpstreamError):
    """Every upstream of a route failed; `__cause__` is the last failure.

    Attributes:
        failures: The failure of each upstream, in the order tried.
    """

    code = "no_upstream"

    def __init__(
        self,
        message: str = "",
        *,
        failures: tuple[IronError, ...] = (),
        upstream: str | None = None,
        request_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, upstream=upstream, request_id=request_id, retryable=retryable)
        self.failures = failures


class AuditError(IronError):
    """The audit log cannot be written, so that nobody could tell of the call.

    Raised before anything is sent, it costs nothing. With `audit.sync = "always"` it may also stand in place
    of a reply that was paid for and could not be recorded yet. The message says what to do; `__cause__` is
    what the system answered.
    """

    code = "audit"


class ClosedError(IronError):
    """The client, the stream or the process does not take calls any more."""

    code = "closed"


class ForkedProcessError(ClosedError):
    """This process was forked from one that makes calls, and has none of its threads.

    Start workers with the `spawn` or `forkserver` method of multiprocessing, or fork before the first call.
    """


class InternalError(IronError):
    """A fault of iron_sdk; please report it."""

    code = "internal"
