"""The exception tree: its table, its fields, its way through pickle."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal

import pytest

import iron_sdk as iron
from iron_sdk import _iron

CLASSES = {
    "config": iron.ConfigError,
    "policy_denied": iron.PolicyDeniedError,
    "content_blocked": iron.ContentBlockedError,
    "detector_failed": iron.DetectorError,
    "budget_exceeded": iron.BudgetExceededError,
    "ledger": iron.LedgerError,
    "rate_limited": iron.RateLimitError,
    "upstream_timeout": iron.UpstreamTimeoutError,
    "upstream_connection": iron.UpstreamConnectionError,
    "upstream_status": iron.UpstreamStatusError,
    "output_invalid": iron.OutputInvalidError,
    "no_upstream": iron.NoUpstreamError,
    "audit": iron.AuditError,
    "closed": iron.ClosedError,
    "internal": iron.InternalError,
}
BUILTINS = {
    iron.ConfigError: ValueError,
    iron.OutputInvalidError: ValueError,
    iron.UpstreamTimeoutError: TimeoutError,
    iron.UpstreamConnectionError: ConnectionError,
}
FIELDS = {
    iron.PolicyDeniedError: {"rule": "r", "direction": "input", "tool": "search"},
    iron.ContentBlockedError: {"rule": "r", "direction": "input", "entity": "API_KEY"},
    iron.DetectorError: {"detector": "d", "direction": "output"},
    iron.BudgetExceededError: {
        "budget": "b",
        "limit": Decimal(5),
        "settled": Decimal(1),
        "held": Decimal(2),
        "estimate": Decimal(3),
    },
    iron.RateLimitError: {"retry_after": 1.5, "upstream": "openai/x"},
    iron.UpstreamTimeoutError: {"phase": "idle", "upstream": "openai/x"},
    iron.UpstreamStatusError: {"status": 500, "body": b"{}", "upstream": "openai/x"},
    iron.OutputInvalidError: {
        "violations": (iron.Violation("a[0]", "is wrong"),),
        "finish_reason": "length",
        "repairs": 2,
        "cost": Decimal("0.01"),
        "upstream": "openai/x",
    },
}


def every_class(kind=iron.IronError):
    return [kind] + [found for child in kind.__subclasses__() for found in every_class(child)]


def test_codes_and_classes_match_both_ways():
    assert tuple(CLASSES) == _iron.ERROR_CODES
    for code, kind in CLASSES.items():
        assert kind.code == code
    assert {kind.code for kind in every_class()} == set(_iron.ERROR_CODES)


@pytest.mark.parametrize("kind", every_class(), ids=lambda kind: kind.__name__)
def test_errors_survive_pickle_and_copy(kind):
    fields = {**FIELDS.get(kind, {}), "request_id": "id", "retryable": True}
    error = kind("what happened", **fields)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert str(again) == "what happened"
        assert vars(again) == vars(error)
        for name, value in fields.items():
            assert getattr(again, name) == value


@pytest.mark.parametrize("kind", BUILTINS, ids=lambda kind: kind.__name__)
def test_errors_are_caught_as_what_python_has_for_them(kind):
    assert issubclass(kind, BUILTINS[kind])
    assert issubclass(iron.ForkedProcessError, iron.ClosedError)
    assert issubclass(iron.NoUpstreamError, iron.UpstreamError)


async def test_a_status_is_passed_on(iron_client, iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "status", "status": 400, "message": "no such thing"}}])
    with pytest.raises(iron.UpstreamStatusError, match="no such thing") as caught:
        await iron_client.chat("Hello")
    assert caught.value.status == 400
    assert b"no such thing" in caught.value.body
    assert caught.value.upstream == "openai/gpt-6-luna"
    assert caught.value.request_id
    assert not caught.value.retryable


async def test_a_connection_that_breaks_tells_why(iron_client, iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "reset", "at": "before_headers"}}])
    with pytest.raises(iron.UpstreamConnectionError) as caught:
        await iron_client.chat("Hello", max_attempts=1)
    assert caught.value.__cause__ is not None
    assert caught.value.retryable


async def test_rate_limits_tell_when_to_come_back(iron_client, iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "status", "status": 429, "retry_after": 7}}])
    with pytest.raises(iron.RateLimitError) as caught:
        await iron_client.chat("Hello", max_attempts=1)
    assert caught.value.retry_after == pytest.approx(7, abs=1)
    assert caught.value.upstream == "openai/gpt-6-luna"


async def test_all_failures_of_a_route_are_told(iron_simulator):
    iron_simulator.set_rules([{"fault": {"kind": "status", "status": 503}}])
    config = {"models": {"fast": {"upstreams": ["openai/gpt-6-luna", "openai/gpt-5-nano"]}}}
    client = iron.Client(config, base_url=iron_simulator.url, api_key="k", max_attempts=1)
    with pytest.raises(iron.NoUpstreamError) as caught:
        await client.chat("Hello", model="fast")
    first, second = caught.value.failures
    assert (first.upstream, second.upstream) == ("openai/gpt-6-luna", "openai/gpt-5-nano")
    assert caught.value.__cause__ is second
    assert pickle.loads(pickle.dumps(caught.value)).failures[0].status == 503
