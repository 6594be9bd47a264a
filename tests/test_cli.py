"""The installed `iron` command: its options, and `iron simulate` over real sockets."""

from __future__ import annotations

import signal
import socket
import subprocess

import openai
import pytest
from command import iron, running

from iron_sdk import __version__


def test_version_and_help():
    assert iron("--version").stdout == f"iron {__version__}\n"
    shown = iron("--help")
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in ("chat", "demo", "simulate"))


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("serve",),
        ("chat", ""),
        ("chat", "Hello", "--max-tokens", "0"),
        ("chat", "Hello", "--budget", "0.0000000001"),
        ("chat", "Hello", "--budget=-1"),
        ("demo", "--agents", "0"),
        ("simulate", "--port", "99999"),
    ],
)
def test_a_wrong_command_line_exits_with_two_and_writes_nothing_else(args):
    done = iron(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: iron" in done.stderr or "For more information" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_simulate_serves_the_openai_client_until_it_is_told_to_stop(how):
    with running("simulate") as process:
        url = process.stdout.readline().decode().strip()
        with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client:
            asked = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
            assert client.chat.completions.create(**asked).choices[0].message.content == "echo: Hello"
            with client.chat.completions.create(**asked, stream=True) as stream:
                assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "echo: Hello"
        process.send_signal(how)
        rest, stats = process.communicate(timeout=30)
    assert process.returncode == 0
    assert rest == b""
    assert b"2 requests" in stats
    assert b"2 chat calls, 1 of them streamed, 0 cut" in stats


def test_simulate_is_deterministic_by_seed():
    def ask(seed):
        with running("simulate", "--seed", seed) as process:
            url = process.stdout.readline().decode().strip()
            with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client:
                return client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "Hello"}]
                ).to_json()

    assert ask("7") == ask("7") != ask("8")


def test_simulate_obeys_rules_and_key():
    with running("simulate", "--rules", "-", "--api-key", "sk-right", stdin=subprocess.PIPE) as process:
        process.stdin.write(b'[{"reply": {"text": "Scripted"}}]')
        process.stdin.close()
        url = process.stdout.readline().decode().strip()
        asked = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
        with openai.OpenAI(base_url=url, api_key="sk-right", max_retries=0) as client:
            assert client.chat.completions.create(**asked).choices[0].message.content == "Scripted"
        with (
            openai.OpenAI(base_url=url, api_key="sk-wrong", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.chat.completions.create(**asked)
        process.terminate()
        process.stdin = None
        process.communicate(timeout=30)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ('[\n  {"replay": {}}\n]', "rules.json:2:11: unknown field `replay`"),
        ('[{"every": 2},\n', "rules.json:2:0: EOF while parsing a value"),
        ('[{"every": 0}]', "rules.json: rules[0].every: counts from 1"),
    ],
)
def test_simulate_says_where_rules_are_wrong(rules, message, tmp_path, monkeypatch):
    (tmp_path / "rules.json").write_text(rules)
    monkeypatch.chdir(tmp_path)
    done = iron("simulate", "--rules", "rules.json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"error[config]: {message}")
    assert done.stderr.count("\n") == 1


def test_simulate_says_that_a_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = iron("simulate", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error[bind]: cannot listen on 127.0.0.1:{port}: ")
