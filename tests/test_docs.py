"""README.md and docs/: what they show runs, what they link to is there, and what they list is complete."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest

import iron_sdk as iron
from iron_sdk.testing import Simulator

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted(ROOT.glob("docs/*.md"))]
DEMO_COMMAND = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/iron demo"
TEST_COMMAND = "python3 -m venv .venv && .venv/bin/pip install nox && .venv/bin/nox"

FENCE = re.compile(r"^```(.*)\n((?:(?!```).*\n)*)```$", re.MULTILINE)
# What stands right below a python block is what it prints.
OUTPUT = re.compile(r"^```python\n(?:(?!```).*\n)*```\n\n```text\n((?:(?!```).*\n)*)```$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

# Runs the blocks of a page one after the other in one namespace; a bare `await` gets a loop.
RUN_BLOCKS = """
def run(page, blocks):
    import __main__, ast, asyncio, inspect
    loop = asyncio.new_event_loop()
    for line, source in blocks:
        code = compile("\\n" * line + source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        outcome = eval(code, vars(__main__))
        if inspect.iscoroutine(outcome):
            loop.run_until_complete(outcome)
    loop.close()

import json, sys
run(sys.argv[1], json.load(sys.stdin))
"""


class Block(NamedTuple):
    page: Path
    line: int
    language: str
    source: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(page, text.count("\n", 0, m.start()) + 1, m[1], m[2]) for m in FENCE.finditer(text)]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks_in(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def is_test(block: Block) -> bool:
    return "def test_" in block.source


def rows(page: Path, heading: str) -> dict[str, list[str]]:
    """Read the tables under a heading: the other cells of each row by the names in its first one."""
    text = page.read_text(encoding="utf-8")
    _, _, section = text.partition(f"\n{heading}\n")
    assert section, f"{page.name} has no heading {heading}"
    section = re.split(r"^#", section, maxsplit=1, flags=re.MULTILINE)[0]
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for name in re.findall(r"`([^`]+)`", cells[0]) if line.startswith("|") else ():
            found[name] = cells[1:]
    return found


def expected_by(error: iron.ConfigError) -> set[str]:
    """Read the names that an error about the name `zzzz` says it expected."""
    _, unknown, expected = str(error).partition("`zzzz`, expected ")
    assert unknown, error
    return set(re.findall(r"`([^`]+)`", expected))


@pytest.fixture
def environment(iron_simulator: Simulator, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
        "PYTHONWARNINGS": "error",
        "TMPDIR": str(tmp_path),
        "OPENAI_BASE_URL": iron_simulator.url,
        "OPENAI_API_KEY": "sk-simulated",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_kind_that_is_checked(page):
    blocks = blocks_of(page)
    assert {block.language for block in blocks} <= {"python", "sh", "toml", "text"}
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page, environment, tmp_path):
    blocks = [block for block in blocks_of(page) if block.language == "python" and not is_test(block)]
    done = subprocess.run(
        [sys.executable, "-c", RUN_BLOCKS, page.name],
        input=json.dumps([(block.line, block.source) for block in blocks]),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for shown in OUTPUT.findall(page.read_text(encoding="utf-8")):
        assert shown in done.stdout


@pytest.mark.parametrize("block", [block for block in blocks_in("python") if is_test(block)], ids=str)
def test_tests_in_blocks_pass(block, environment, tmp_path):
    (tmp_path / "test_block.py").write_text(block.source, encoding="utf-8")
    options = ["asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(f"-o{option}" for option in options)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert " passed in " in done.stdout


@pytest.mark.parametrize("block", blocks_in("toml"), ids=str)
def test_toml_blocks_load(block, tmp_path):
    file = tmp_path / ("pyproject.toml" if "[tool.iron" in block.source else "iron.toml")
    file.write_text(block.source, encoding="utf-8")
    iron.Client(file)


@pytest.mark.parametrize("block", blocks_in("sh"), ids=str)
def test_sh_blocks_run(block, environment, tmp_path):
    (command,) = block.source.splitlines()
    if command in {DEMO_COMMAND, TEST_COMMAND}:
        assert block.page == README
        return
    assert re.match(r"([A-Z_]+=\S+ )*iron ", command), "only iron commands can be checked here"
    if command.startswith(("iron simulate", "iron router --")):
        stopped_when_it_listens(command, environment)
        return
    done = subprocess.run(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def stopped_when_it_listens(command: str, environment: dict[str, str]) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(command.split(), env=environment, stdout=pipe, stderr=pipe, text=True) as run:
        assert run.stdout
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1\n", run.stdout.readline())
        run.send_signal(signal.SIGINT)
        run.communicate()
    assert run.returncode == 0


def test_ci_finds_the_test_command_in_the_readme():
    pattern = re.search(r"grep -E '(.+)' README\.md", (ROOT / ".ci/run").read_text(encoding="utf-8"))
    assert pattern
    lines = README.read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if re.search(pattern[1].replace("[[:space:]]", r"\s"), line)]
    assert found == [TEST_COMMAND]
    assert lines.count(DEMO_COMMAND) == 1


def test_the_demo_shows_what_the_readme_says(environment, tmp_path):
    (shown,) = (block.source for block in blocks_of(README) if block.source.startswith("iron demo"))
    done = subprocess.run(
        ["iron", "demo", "--no-progress"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in shape(shown) if line not in shape(done.stdout)] == []


def shape(transcript: str) -> list[str]:
    """Strip lines of what differs from run to run: figures, and the notes beside them."""
    return [re.split(r"  +(?=\S)|\d", line.strip())[0] for line in transcript.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page):
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """Collect what a link into a page may name: headings as GitHub slugs them, and explicit ids."""
    text = page.read_text(encoding="utf-8")
    headings = HEADING.findall(FENCE.sub("", text))
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize(
    ("heading", "path"),
    [
        ("### `[budget]`", ["budget"]),
        ("### `[limits]`", ["limits"]),
        ('### `[limits.models."provider/model"]`', ["limits", "models", "x/y"]),
        ("### `[timeouts]`", ["timeouts"]),
        ("### `[retry]`", ["retry"]),
        ("### `[breaker]`", ["breaker"]),
        ("### `[providers.NAME]`", ["providers", "x"]),
        ("### `[models.ALIAS]`", ["models", "x"]),
        ('### `[prices."provider/model"]`', ["prices", "x/y"]),
        ("### `[policy]`", ["policy"]),
        ("### `[audit]`", ["audit"]),
        ("### `[router]`", ["router"]),
    ],
    ids=str,
)
def test_every_key_of_a_section_is_documented_and_exists(heading, path):
    config: dict[str, object] = {"zzzz": 1}
    for name in reversed(path):
        config = {name: config}
    with pytest.raises(iron.ConfigError) as refused:
        iron.Client(config)
    assert set(rows(ROOT / "docs/configuration.md", heading)) == expected_by(refused.value)


def test_every_section_is_documented_and_exists():
    page = ROOT / "docs/configuration.md"
    sections = re.findall(r"^### `\[(\w+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    with pytest.raises(iron.ConfigError) as refused:
        iron.Client({"zzzz": 1})
    assert {*rows(page, "### Top level"), *sections} == expected_by(refused.value)


def test_documented_defaults_are_of_the_right_type(tmp_path):
    page = ROOT / "docs/configuration.md"
    lines = []
    for section in ("budget", "limits", "timeouts", "retry", "breaker", "audit", "router"):
        keys = rows(page, f"### `[{section}]`")
        lines += [
            f"[{section}]",
            *(f"{key} = {cells[1].strip('`')}" for key, cells in keys.items() if cells[1]),
        ]
    file = tmp_path / "iron.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    iron.Client(file)


def test_every_keyword_of_a_client_is_documented_and_exists():
    keywords = set(inspect.signature(iron.Client).parameters) - {"config"}
    assert set(rows(ROOT / "docs/configuration.md", "## Sources")) == keywords


def test_every_error_is_documented_with_its_code():
    page = ROOT / "docs/errors.md"
    exported = {name: getattr(iron, name) for name in iron.__all__ if name.endswith("Error")}
    tree = {}
    for line in next(block.source for block in blocks_of(page) if block.language == "text").splitlines():
        name = re.search(r"\w+", line)
        assert name
        tree[name[0]] = name.start()
        if name.start():
            above = [other for other, column in tree.items() if column == name.start() - 4][-1]
            assert exported[above] in exported[name[0]].__bases__
    assert set(tree) == set(exported)
    codes = {name: cells[0].strip("`") for name, cells in rows(page, "## Which one, and what to do").items()}
    branches = {"IronError", "PolicyError", "BudgetError", "UpstreamError"}
    assert codes == {name: kind.code for name, kind in exported.items() if name not in branches}


@pytest.mark.parametrize(
    ("heading", "rule"),
    [
        ("## Rules", {"zzzz": 1}),
        ("### Replies", {"reply": {"zzzz": 1}}),
        ("### Faults", {"fault": {"kind": "zzzz"}}),
    ],
    ids=str,
)
def test_what_a_rule_takes_is_documented_and_exists(heading, rule):
    with pytest.raises(iron.ConfigError) as refused, Simulator(rules=[rule]):
        pass
    assert set(rows(ROOT / "docs/testing.md", heading)) == expected_by(refused.value)
