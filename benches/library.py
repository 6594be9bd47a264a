"""The bench of library mode: what a governed call costs beside bare clients, all against one lean mock.

Run `python benches/library.py`; `benches/README.md` says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from contenders import CONTENDERS
from report import FLOOR, SUBJECT, Results, Sample, machine, table, write
from workload import WORKLOADS, Workload, request

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
# Contender: the module a program imports, and the distribution whose version counts.
MODULES = {
    "iron": ("iron_sdk", "iron-sdk"),
    "pyreqwest": ("pyreqwest.client", "pyreqwest"),
    "aiohttp": ("aiohttp", "aiohttp"),
    "openai": ("openai", "openai"),
    "litellm": ("litellm", "litellm"),
}
PYTHON_CHILD = (sys.executable, str(HERE / "contenders.py"))
SAMPLE_TIMEOUT_S = 300.0
# What a soak repeats: the child's name for it, and the path that tells the mock what to send.
SOAKS = {"calls": ("soak", ""), "streams": ("soak-streams", WORKLOADS["burst"].path)}
# A stream is a call and a hundred chunks.
CALLS_TO_A_STREAM = 10


def environment() -> dict[str, str]:
    """Return the environment of every child: no proxy, no network at import, no limit that queues."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    # litellm fetches its price table when imported, and allows 500 connections to a host.
    return kept | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "0"}


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Pin what is started inside, with all its threads, to one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def build() -> Path:
    """Build mock and bare client; return the folder they are in."""
    cargo = ("cargo", "build", "--release", "--quiet", "--package", "iron_benches")
    subprocess.run(cargo, cwd=HERE, check=True)
    found = subprocess.run(
        ("cargo", "metadata", "--format-version", "1", "--no-deps"),
        cwd=HERE,
        check=True,
        capture_output=True,
    )
    return Path(json.loads(found.stdout)["target_directory"]) / "release"


class Bench:
    """One run: a mock on its core, and children started one after another on the other."""

    def __init__(self, natives: Path, mock_url: str, core: int) -> None:
        """Measure against the mock at `mock_url` from `core`."""
        self._natives = natives
        self._mock_url = mock_url
        self._core = core
        self.failures: list[str] = []

    def _child(self, command: list[str], body: bytes, timeout: float) -> dict[str, Any]:
        with pinned(self._core):
            child = subprocess.run(
                command,
                input=body,
                capture_output=True,
                check=False,
                env=environment(),
                timeout=timeout,
            )
        if child.returncode != 0:
            last = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
            message = last[0] if last else f"exit status {child.returncode}"
            raise RuntimeError(message)
        sample: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
        return sample

    def sample(self, contender: str, workload: Workload, seconds: float) -> Sample | None:
        """Measure once in a new process; a failure is noted and gives None."""
        base_url = f"{self._mock_url}{workload.path}/v1"
        if contender == FLOOR:
            if workload.kind == "long":
                return None  # it has no event loop to halt
            body = json.dumps(request(stream=workload.kind != "plain")).encode()
            binary = str(self._natives / "bare_reqwest")
            command = [binary, workload.kind, base_url, str(workload.concurrency), str(seconds)]
        else:
            body = b""
            command = [*PYTHON_CHILD, contender, workload.name, base_url, str(seconds)]
        found = self._noted(f"{contender}, {workload.name}", command, body, SAMPLE_TIMEOUT_S)
        if found and workload.kind != "stall":
            expected = found["calls"] * workload.characters
            if found["characters"] != expected:
                read = f"read {found['characters']} characters of {expected}"
                self.failures.append(f"{contender}, {workload.name}: {read}")
                return None
        return found

    def soak(self, contender: str, what: str, times: int) -> Sample | None:
        """Make many calls or streams from one process, watching its memory."""
        name, path = SOAKS[what]
        command = [*PYTHON_CHILD, contender, name, f"{self._mock_url}{path}/v1", str(times)]
        # The slowest contender makes some 300 calls a second, and some 50 streams.
        return self._noted(f"{contender}, {name}", command, b"", SAMPLE_TIMEOUT_S + times / 20)

    def _noted(self, what: str, command: list[str], body: bytes, timeout: float) -> dict[str, Any] | None:
        try:
            return self._child(command, body, timeout)
        except (RuntimeError, subprocess.TimeoutExpired, OSError, ValueError) as error:
            self.failures.append(f"{what}: {error}")
            return None

    def import_ms(self, contenders: list[str], times: int) -> dict[str, float]:
        """Return what importing adds to the start of a bare interpreter, median of `times`."""

        def start(code: str) -> float:
            begun = time.perf_counter()
            with pinned(self._core):
                # Away from the checkout, whose package holds no native module.
                elsewhere = tempfile.gettempdir()
                subprocess.run([sys.executable, "-c", code], check=True, env=environment(), cwd=elsewhere)
            return (time.perf_counter() - begun) * 1e3

        added = {}
        for contender in contenders:
            code = f"import {MODULES[contender][0]}"
            start(code)  # compiles what is not yet compiled
            added[contender] = median(start(code) - start("pass") for _ in range(times))
        return added


@contextmanager
def mock(natives: Path, core: int) -> Iterator[str]:
    """Run the mock; give the URL below which it serves."""
    with pinned(core):
        child = subprocess.Popen(
            [str(natives / "lean_mock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    # Leaving closes its standard input, on which it ends.
    with child:
        if child.stdout is None or not (port := child.stdout.readline().strip()):
            message = "the mock did not start"
            raise RuntimeError(message)
        yield f"http://127.0.0.1:{port}"


def installed(names: list[str]) -> dict[str, str]:
    """Return the version of each contender that is here; bare reqwest is built, so it always is."""
    versions = {FLOOR: locked_reqwest()}
    for name in names:
        module, distribution = MODULES[name]
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            try:
                versions[name] = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                versions[name] = "(not installed as a distribution)"
    return versions


def locked_reqwest() -> str:
    """Return the version of reqwest in the lock file."""
    lines = iter((HERE.parent / "Cargo.lock").read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line == 'name = "reqwest"':
            return next(lines).partition('"')[2].rstrip('"')
    return "unknown"


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: does it run?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="timed section of each sample")
    parser.add_argument("--only", help=f"contenders beside {FLOOR}, of {','.join(CONTENDERS)}")
    parser.add_argument("--workloads", help=f"of {','.join(WORKLOADS)}")
    parser.add_argument(
        "--soak",
        type=int,
        nargs="?",
        const=1_000_000,
        default=0,
        metavar="CALLS",
        help=f"also watch memory over so many calls of {SUBJECT}, or of what --only names, and over a tenth "
        "as many streams",
    )
    parser.add_argument("--wheel", type=Path, help="a built wheel, for its size")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    chosen = parser.parse_args()
    for given, known in ((chosen.only, CONTENDERS), (chosen.workloads, WORKLOADS)):
        if given and (unknown := set(given.split(",")) - set(known)):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    if chosen.quick:
        chosen.rounds, chosen.seconds = 1, 0.3
    return chosen


def main() -> None:
    """Measure, print the table, write the results."""
    chosen = arguments()
    names = chosen.only.split(",") if chosen.only else list(CONTENDERS)
    workloads = [WORKLOADS[n] for n in (chosen.workloads.split(",") if chosen.workloads else WORKLOADS)]
    cores = sorted(os.sched_getaffinity(0))
    client_core, mock_core = cores[0], cores[-1]
    where = f"clients to core {client_core}, mock to core {mock_core}"
    if client_core == mock_core:
        where = f"clients and mock share core {client_core}: rates and latencies include the mock's work"
    facts = machine(where)
    natives = build()
    versions = installed(names)
    contenders = list(versions)
    rounds: dict[str, dict[str, list[Sample | None]]] = {
        w.name: {name: [] for name in contenders} for w in workloads
    }
    with mock(natives, mock_core) as url:
        bench = Bench(natives, url, client_core)
        bench.failures += [f"{name}: not installed" for name in names if name not in versions]
        for number in range(1, chosen.rounds + 1):
            for workload in workloads:
                print(f"round {number} of {chosen.rounds}: {workload.name}", file=sys.stderr)
                for name in contenders:
                    rounds[workload.name][name].append(bench.sample(name, workload, chosen.seconds))
        import_ms = bench.import_ms(contenders[1:], 3 if chosen.quick else 10)
        soaks: dict[str, dict[str, Sample]] = {}
        for what, times in (("calls", chosen.soak), ("streams", chosen.soak // CALLS_TO_A_STREAM)):
            for name in names if chosen.only else [SUBJECT]:
                if times and name in versions and (found := bench.soak(name, what, times)):
                    soaks.setdefault(what, {})[name] = found
    wheel_bytes = chosen.wheel.stat().st_size if chosen.wheel else None
    results = Results(facts, versions, rounds, import_ms, soaks, wheel_bytes, bench.failures)
    write(results, chosen.out)
    print(table(results), end="")


if __name__ == "__main__":
    main()
