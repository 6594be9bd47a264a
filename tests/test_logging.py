"""The core's log in `logging`."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from child import run
from waiting import until, until_blocking

import iron_sdk as iron

LOGGER = logging.getLogger("iron_sdk")


def records(caplog, words):
    return [record for record in caplog.records if record.name == "iron_sdk" and words in record.getMessage()]


async def test_a_retry_is_logged_with_its_call_upstream_and_attempt(iron_client, iron_simulator, caplog):
    iron_simulator.set_rules(
        [{"times": 1, "fault": {"kind": "status", "status": 503, "message": "unspeakable"}}]
    )
    with caplog.at_level(logging.INFO, "iron_sdk"):
        reply = await iron_client.chat("unspeakable")
        await until(lambda: records(caplog, "trying again"))
    (record,) = records(caplog, "trying again")
    assert record.levelno == logging.INFO
    assert (record.request_id, record.upstream, record.attempt) == (reply.request_id, reply.upstream, 1)
    assert record.code == "upstream_status"
    assert f"request_id={reply.request_id}" in record.getMessage()
    assert record.pathname.endswith(".rs")
    assert not records(caplog, "answered"), "that is for DEBUG"
    assert "unspeakable" not in caplog.text


async def test_the_level_is_that_of_the_logger_at_each_call(iron_client, caplog):
    for level, seen in ((logging.DEBUG, 1), (logging.WARNING, 1), (logging.DEBUG, 2)):
        with caplog.at_level(level, "iron_sdk"):
            reply = await iron_client.chat("Hello")
            await until(lambda: len(records(caplog, "answered")) >= seen)  # noqa: B023 - awaited here
        assert len(records(caplog, "answered")) == seen
    assert records(caplog, "answered")[-1].request_id == reply.request_id


async def test_unknown_spend_and_fallbacks_are_warnings(iron_simulator, caplog):
    iron_simulator.set_rules([{"times": 1, "fault": {"kind": "reset", "at": "after_headers"}}])
    route = {"models": {"fast": {"upstreams": ["openai/gpt-6-luna", "openai/gpt-5-nano"]}}}
    client = iron.Client(route, base_url=iron_simulator.url, api_key="sk-secret", max_attempts=1)
    with caplog.at_level(logging.WARNING, "iron_sdk"):
        await client.chat("Hello", model="fast", max_tokens=20)
        await until(lambda: records(caplog, "asking the next"))
    (doubt,) = records(caplog, "in doubt")
    (fallback,) = records(caplog, "asking the next")
    assert {doubt.levelno, fallback.levelno} == {logging.WARNING}
    assert (fallback.upstream, fallback.to) == ("openai/gpt-6-luna", "openai/gpt-5-nano")
    assert "secret" not in caplog.text


def test_calls_without_a_loop_are_logged_too(iron_simulator, caplog):
    with caplog.at_level(logging.DEBUG, "iron_sdk"), iron_simulator.sync_client() as client:
        reply = client.chat("Hello")
        until_blocking(lambda: records(caplog, "answered"))
    assert records(caplog, "answered")[0].request_id == reply.request_id


async def test_what_is_wrong_with_a_handler_is_not_for_calls_to_suffer(iron_client, caplog):
    class Broken(logging.Handler):
        seen = 0

        def handle(self, record):
            Broken.seen += 1
            raise ValueError(record)

    handler = Broken()
    LOGGER.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG, "iron_sdk"):
            for calls in (1, 2):
                await iron_client.chat("Hello")
                await until(lambda: Broken.seen == calls)  # noqa: B023 - awaited here
    finally:
        LOGGER.removeHandler(handler)


async def test_a_handler_that_blocks_holds_up_no_call_and_what_is_dropped_is_counted(iron_client, caplog):
    go, entered, dropped = threading.Event(), threading.Event(), []

    class Slow(logging.Handler):
        def emit(self, record):
            entered.set()
            go.wait()
            if hasattr(record, "dropped"):
                dropped.append(record.dropped)

    handler = Slow()
    LOGGER.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG, "iron_sdk"):
            await iron_client.chat("Hello")
            await until(entered.is_set)
            LOGGER.propagate = False
            # A record each, and a quarter more than wait at once with those that the handler has taken.
            for _ in range(15):
                await asyncio.gather(*(iron_client.chat("Hello") for _ in range(900)))
            go.set()
            await until(lambda: dropped)
    finally:
        go.set()
        LOGGER.propagate = True
        LOGGER.removeHandler(handler)
    assert sum(dropped) >= 15 * 900 - 8_192 - 2_048


def test_a_program_that_configures_nothing_sees_nothing_and_one_that_does_sees_all(iron_simulator):
    iron_simulator.set_rules([{"every": 2, "fault": {"kind": "reset", "at": "after_headers"}}])
    program = """
    import logging
    if {configured}:
        logging.basicConfig(level="DEBUG", stream=sys.stdout, format="%(levelname)s %(message)s")
        logging.getLogger("asyncio").setLevel("ERROR")
    elif "{configured}" == "None":
        assert not [handler for handler in logging.root.handlers]
    sync_client().chat("Hello")
    async def main():
        await client().chat("Hello")
    asyncio.run(main())
    """
    assert run(program.format(configured=False), simulator=iron_simulator) == ""
    output = run(program.format(configured=True), simulator=iron_simulator).splitlines()
    # The last of them are handed over after the loop has ended, before the process has.
    assert [line.split(" request_id")[0] for line in output].count("DEBUG answered") == 2
    assert any(line.startswith("WARNING settled in doubt") for line in output)
    assert any(line.startswith("INFO trying again") for line in output)


def test_a_stuck_handler_holds_up_no_exit(iron_simulator):
    run(
        """
        import logging, threading

        class Stuck(logging.Handler):
            def emit(self, record):
                threading.Event().wait()

        logging.getLogger("iron_sdk").addHandler(Stuck())
        logging.getLogger("iron_sdk").setLevel("DEBUG")
        # logging itself closes its handlers at exit, and would wait for the lock of this one.
        logging.raiseExceptions = False
        Stuck.acquire = Stuck.release = lambda self: None
        sync_client().chat("Hello")
        """,
        simulator=iron_simulator,
    )


@pytest.mark.parametrize("calls", [0, 1], ids=["before_the_first_call", "after_it"])
def test_a_forked_child_ends_well(iron_simulator, calls):
    output = run(
        f"""
        import logging, warnings

        # Python 3.12 and later warn of every fork in a process with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        logging.basicConfig(level="DEBUG", stream=sys.stdout, format="%(message)s")
        logging.getLogger("asyncio").setLevel("ERROR")
        one = sync_client()
        for _ in range({calls}):
            one.chat("Hello")
        child = os.fork()
        if child == 0:
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        one.chat("Hello")
        """,
        simulator=iron_simulator,
    )
    assert output.count("answered") >= calls + 1


def test_nothing_is_installed_at_import():
    run(
        """
        assert "logging" not in sys.modules or not sys.modules["logging"].getLogger("iron_sdk").handlers
        """,
        preamble="import sys, iron_sdk\n",
    )
