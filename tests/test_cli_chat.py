"""`iron chat`, over real sockets, pipes and terminals."""

from __future__ import annotations

import json
import re
import signal
from decimal import Decimal

import pytest
from command import environment, iron, on_terminal, running

from iron_sdk.testing import Simulator

MODEL = "openai/gpt-6-luna"
SUMMARY = re.compile(
    r"\$(?P<cost>\d+\.\d{9})(?P<how> \(\w+\))? · (?P<input>\d+) in \+ (?P<output>\d+) out tokens"
    r" · (?P<model>\S+) · \d+\.\d\d s"
)
STALLED = [{"reply": {"text": "one two three four"}, "fault": {"kind": "stall", "at": {"after_chunks": 3}}}]


def price(input_tokens, output_tokens):
    """Return what MODEL charges, in US dollars."""
    return (input_tokens * Decimal("0.10") + output_tokens * Decimal("0.50")) / 1_000_000


def asking(simulator, **added):
    return environment(OPENAI_BASE_URL=simulator.url, OPENAI_API_KEY="sk-test", **added)


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_chat_needs_neither_key_nor_network_to_try():
    done = iron("chat", "Hello there", "--simulate")
    assert done.returncode == 0
    assert done.stdout == "echo: Hello there\n"
    told = SUMMARY.fullmatch(done.stderr.strip())
    assert told["model"] == MODEL
    assert told["how"] is None
    assert Decimal(told["cost"]) == price(int(told["input"]), int(told["output"]))


def test_chat_to_a_simulator_passes_by_the_proxy():
    env = environment(ALL_PROXY="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="example.com")
    assert iron("chat", "Hello", "--simulate", env=env).stdout == "echo: Hello\n"


@pytest.mark.parametrize("args", [("-",), ()])
def test_chat_reads_the_prompt_from_a_pipe(args):
    done = iron("chat", *args, "--simulate", input="From a pïpe")
    assert (done.returncode, done.stdout) == (0, "echo: From a pïpe\n")


def test_chat_sends_what_it_is_told():
    with Simulator() as simulator:
        done = iron(
            "chat", "Hello", "-s", "Be short", "-m", "openai/gpt-5-mini", "--max-tokens", "64", "--no-stream",
            env=asking(simulator),
        )  # fmt: skip
        (request,) = simulator.requests()
    assert done.returncode == 0, done.stderr
    assert request["body"]["model"] == "gpt-5-mini"
    assert request["body"]["max_completion_tokens"] == 64
    assert [(m["role"], m["content"]) for m in request["body"]["messages"]] == [
        ("system", "Be short"),
        ("user", "Hello"),
    ]
    assert not request["body"].get("stream")


def test_chat_takes_model_and_alias_from_the_configuration(tmp_path):
    text = 'default_model = "fast"\n[models.fast]\nupstreams = ["openai/gpt-5-mini"]\n'
    (tmp_path / "iron.toml").write_text(text)
    with Simulator() as simulator:
        assert iron("chat", "Hello", env=asking(simulator)).returncode == 0
        (tmp_path / "iron.toml").rename(tmp_path / "other.toml")
        assert iron("chat", "Hello", "--config", "other.toml", env=asking(simulator)).returncode == 0
        assert [request["body"]["model"] for request in simulator.requests()] == ["gpt-5-mini", "gpt-5-mini"]


def test_chat_prints_json_with_exact_money():
    with Simulator() as simulator:
        done = iron("chat", "Hello", "--json", env=asking(simulator))
    reply = json.loads(done.stdout)
    assert reply["text"] == "echo: Hello"
    assert reply["raw"]["choices"][0]["message"]["content"] == "echo: Hello"
    assert reply["settlement"] == "settled"
    usage = reply["usage"]
    assert Decimal(reply["cost_usd"]) == price(usage["input_tokens"], usage["output_tokens"])
    assert done.stderr == ""


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_chat_streams_and_a_signal_cancels(how, code):
    with Simulator(rules=STALLED) as simulator:
        with running("chat", "Hello", "--budget", "0.01", env=asking(simulator)) as process:
            # The reply stalls half-way: what is read here was shown before its end.
            assert process.stdout.read(3) == b"one"
            process.send_signal(how)
            _, told = process.communicate(timeout=30)
        assert process.returncode == code
        settled = re.fullmatch(r"cancelled: \$(\d+\.\d{9}) settled\n", told.decode())
        assert Decimal(0) < Decimal(settled[1]) <= Decimal("0.01")
        assert simulator.quiet()
        assert simulator.stats()["streams_cut"] == 1


def test_chat_without_a_key_says_what_to_do():
    done = iron("chat", "Hello")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error[config]: ")
    assert "OPENAI_API_KEY" in done.stderr
    assert "--simulate" in done.stderr
    assert done.stderr.count("\n") == 1


def test_chat_says_which_model_is_not_known():
    done = iron("chat", "Hello", "--simulate", "-m", "openai/gpt-6-lun")
    assert done.returncode == 1
    assert re.match(r'error\[config\]: unknown model .*did you mean "openai/gpt-6-luna"', done.stderr)


def test_chat_refused_by_its_budget_makes_no_request():
    with Simulator() as simulator:
        done = iron("chat", "Hello", "--budget", "0.000001", env=asking(simulator))
        assert simulator.stats()["requests"] == 0
    assert done.returncode == 1
    assert done.stderr.startswith("error[budget_exceeded]: ")


def test_chat_says_what_the_provider_said():
    rules = [{"fault": {"kind": "status", "status": 400, "message": "two\nlines \x1b[31m"}}]
    with Simulator(rules=rules) as simulator:
        done = iron("chat", "Hello", env=asking(simulator))
    assert done.returncode == 1
    assert done.stderr == "error[upstream_status]: openai/gpt-6-luna answered 400: two lines [31m\n"


def test_chat_ends_its_line_when_a_reply_breaks_off():
    rules = [{"reply": {"text": "one two three four"}, "fault": {"kind": "reset", "at": {"after_chunks": 3}}}]
    with Simulator(rules=rules) as simulator:
        done = iron("chat", "Hello", env=asking(simulator))
    assert done.returncode == 1
    assert done.stdout.startswith("one")
    assert done.stdout.endswith("\n")
    assert done.stderr.startswith("error[upstream_connection]: ")


def test_chat_warns_of_a_cut_reply_and_shows_a_refusal():
    with Simulator(rules=[{"reply": {"refusal": "I will not."}}]) as simulator:
        assert iron("chat", "Hello", env=asking(simulator)).stdout == "I will not.\n"
    done = iron("chat", "A prompt of many tokens", "--simulate", "--max-tokens", "2")
    assert done.stderr.startswith("warning: the reply was cut at its most output tokens\n")


def test_chat_leaves_quietly_when_nobody_reads():
    with Simulator(rules=[{"reply": {"output_tokens": 100_000}}]) as simulator:
        with running("chat", "Hello", env=asking(simulator)) as process:
            assert process.stdout.read(1)
            process.stdout.close()
            process.stdout = None
            _, told = process.communicate(timeout=30)
        assert process.returncode == 141
        assert told == b""
        assert simulator.quiet()


def test_colour_is_for_terminals_and_for_those_who_insist():
    assert "\x1b" not in iron("chat", "Hello").stderr
    assert "\x1b[1;31m" in iron("chat", "Hello", env=environment(CLICOLOR_FORCE="1")).stderr
    assert "\x1b" not in iron("chat", "Hello", env=environment(CLICOLOR_FORCE="1", NO_COLOR="1")).stderr
    _, shown = on_terminal("chat", "Hello", "--simulate")
    assert "\x1b[2m$" in shown
    for env in (environment(TERM="xterm", NO_COLOR="1"), environment(TERM="dumb")):
        _, shown = on_terminal("chat", "Hello", "--simulate", env=env)
        assert "echo: Hello" in shown
        assert "\x1b" not in shown


def test_a_model_does_not_steer_the_terminal():
    with Simulator(rules=[{"reply": {"text": "a\x1b[2Jb\tc\nd"}}]) as simulator:
        code, shown = on_terminal("chat", "Hello", env=asking(simulator, TERM="xterm"))
        assert code == 0
        assert "a[2Jb" in shown
        assert "\x1b[2J" not in shown
        # A pipe gets every byte.
        assert iron("chat", "Hello", env=asking(simulator)).stdout == "a\x1b[2Jb\tc\nd\n"
