"""The installed `iron` command, as a user runs it."""

from __future__ import annotations

import os
import pty
import subprocess
import sysconfig
from contextlib import contextmanager
from pathlib import Path

IRON = Path(sysconfig.get_path("scripts")) / "iron"
SECONDS = 50

# Under CI colours are on, whatever the terminal.
_OURS = ("CI", "IRON_", "OPENAI_", "CLICOLOR", "NO_COLOR", "COLUMNS", "TERM")


def environment(**added):
    """Return what a user has who never heard of us, and what a test adds."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OURS) and not name.lower().endswith("_proxy")
    }
    return {**kept, **added}


def iron(*args, env=None, **options):
    """Run a command to its end, with pipes for its output and nothing to read unless given as `input`."""
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    env = env or environment()
    return subprocess.run(
        [IRON, *args], env=env, capture_output=True, encoding="utf-8", timeout=SECONDS, check=False, **options
    )


@contextmanager
def running(*args, env=None, stdin=subprocess.DEVNULL):
    """Start a command with pipes for its output, and see that it ends."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [IRON, *args], env=env or environment(), stdin=stdin, stdout=pipe, stderr=pipe
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def on_terminal(*args, env=None):
    """Run a command with a terminal for its output; return its exit code and what the terminal got."""
    ours, theirs = pty.openpty()
    env = env or environment(TERM="xterm")
    process = subprocess.Popen([IRON, *args], env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with process, os.fdopen(ours, "rb", buffering=0) as screen:
        while True:
            try:
                piece = screen.read(65536)
            except OSError:  # Linux's way to say that nobody has the other end
                break
            if not piece:
                break
            shown += piece
    return process.returncode, shown.decode()
