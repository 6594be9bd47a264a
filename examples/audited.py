"""An audit log, and what becomes of somebody who tidies it up.

With OPENAI_API_KEY set it calls OpenAI; without it, a simulator on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import iron_sdk as iron
from iron_sdk.testing import Simulator

MODEL = "openai/gpt-6-luna"
RULES = [{"name": "cards", "what": ["CREDIT_CARD"], "action": "block"}]


async def work(client: iron.Client) -> None:
    """Make a few calls, one of which a rule refuses."""
    prompts = ["What is tea?", "What is coffee?", "Charge 4111 1111 1111 1111"]
    ends = await asyncio.gather(
        *(client.chat(prompt, max_tokens=60) for prompt in prompts), return_exceptions=True
    )
    for prompt, end in zip(prompts, ends, strict=True):
        how = f"answered for {end.cost} USD" if isinstance(end, iron.Reply) else type(end).__name__
        print(f"{prompt.split()[-1]:<20} {how}")


def audit(command: str, directory: Path) -> None:
    """Run `iron audit` as a user would, and show what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "iron_sdk", "audit", command, str(directory)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    print(f"\n$ iron audit {command}\n{done.stdout}exit code {done.returncode}")


def tidy_up(directory: Path) -> None:
    """Take the refused call out of the log."""
    (file,) = directory.glob("*.jsonl")
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(line for line in lines if json.loads(line).get("outcome") != "refused"), "utf-8")


async def main() -> None:
    """Work, look at the log, tidy it up, and look again."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        options: dict[str, str] = {}
        if not os.environ.get("OPENAI_API_KEY"):
            options = {"base_url": stack.enter_context(Simulator()).url, "api_key": "sk-simulated"}
        settings = {"audit": {"directory": str(directory)}, "policy": {"rules": RULES}}
        async with iron.Client(settings, budget="0.10", model=MODEL, **options) as client:
            await work(client)
        audit("stats", directory)
        audit("verify", directory)
        tidy_up(directory)
        audit("verify", directory)
        print(client.budget)


if __name__ == "__main__":
    asyncio.run(main())
