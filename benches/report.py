"""The report: samples to figures, figures to a table against targets, a plot and a JSON file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

from workload import CHUNKS, PACE_MS, WORKLOADS

FLOOR = "reqwest"
SUBJECT = "iron"
Sample = Mapping[str, Any]
# In order of rounds; None where one failed.
Samples = Sequence[Sample | None]
# By workload, then by contender.
Rounds = Mapping[str, Mapping[str, Samples]]


@dataclass(frozen=True)
class Metric:
    """One line of the table: how it follows from a sample, and what it should be for iron."""

    label: str
    unit: str
    workload: str
    value: Callable[[Sample, Sample], float]  # of the contender's sample and of bare reqwest's
    target: float | None = None
    target_ratio: float | None = None  # to bare reqwest
    more_is_better: bool = False
    with_ratio: bool = True
    of_floor: bool = True  # bare reqwest has it too


def _cpu_per_call(sample: Sample, _: Sample) -> float:
    return float(sample["cpu_seconds"] / sample["calls"] * 1e6)


def _cpu_per_chunk(sample: Sample, floor: Sample) -> float:
    return _cpu_per_call(sample, floor) / CHUNKS


def _calls_per_second(sample: Sample, _: Sample) -> float:
    return float(sample["calls"] / sample["seconds"])


def _added(percentile: str) -> Callable[[Sample, Sample], float]:
    return lambda sample, floor: float(sample[percentile] - floor[percentile])


def _rss_per_thousand(sample: Sample, _: Sample) -> float:
    return float(sample["rss_bytes"] / sample["calls"] * 1000 / 2**20)


def _halt(sample: Sample, _: Sample) -> float:
    return float(sample["halt_us"])


def _cpu(workload: str, target: float, ratio: float) -> Metric:
    label = f"CPU per call, concurrency {WORKLOADS[workload].concurrency}"
    return Metric(label, "µs", workload, _cpu_per_call, target, ratio)


def _rate(workload: str, target: float | None = None) -> Metric:
    label = f"calls per second, concurrency {WORKLOADS[workload].concurrency}"
    return Metric(label, "/s", workload, _calls_per_second, target, more_is_better=True)


METRICS = (
    _cpu("c1", 75, 2.5),
    _cpu("c64", 38, 3),
    _cpu("c512", 42, 3),
    _rate("c1"),
    _rate("c64", 25_000),
    _rate("c512"),
    Metric("latency added, concurrency 1, p50", "µs", "c1", _added("p50_us"), 50, with_ratio=False),
    Metric("latency added, concurrency 1, p99", "µs", "c1", _added("p99_us"), 100, with_ratio=False),
    Metric("CPU per streamed chunk, burst", "µs", "burst", _cpu_per_chunk, 4),
    Metric(f"CPU per streamed chunk, paced {PACE_MS} ms apart", "µs", "paced", _cpu_per_chunk, 16),
    Metric("memory per 1,000 open streams", "MiB", "stall", _rss_per_thousand),
    Metric(
        "event loop halted by a call with a 1 MB prompt",
        "µs",
        "long",
        _halt,
        with_ratio=False,
        of_floor=False,
    ),
)
IMPORT_TARGET_MS = 50
WHEEL_TARGET_MB = 15
# Resident memory moves by a few pages whatever is done; over a million calls this is one byte a call.
SOAK_TARGET_MIB = 1.0


@dataclass(frozen=True)
class Figure:
    """Medians over the rounds; the ratio is taken within each round, on the machine as it then was."""

    value: float
    ratio: float | None = None
    late: bool = False

    def __str__(self) -> str:
        """Write as a cell of the table."""
        ratio = "" if self.ratio is None else f" ({_number(self.ratio)}x)"
        return f"{_number(self.value)}{ratio}{' †' if self.late else ''}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def figure(metric: Metric, samples: Samples, floors: Samples) -> Figure | None:
    """Return the figure over the rounds in which both the contender and bare reqwest have a sample."""
    if not metric.of_floor:
        floors = samples
    pairs = [(s, f) for s, f in zip(samples, floors, strict=True) if s is not None and f is not None]
    if not pairs:
        return None
    values = [metric.value(sample, floor) for sample, floor in pairs]
    ratio = None
    if metric.with_ratio and samples is not floors:
        ratio = median(v / metric.value(f, f) for v, (_, f) in zip(values, pairs, strict=True))
    # A stream takes CHUNKS times PACE_MS where the client keeps up with the mock.
    ideal_us = CHUNKS * PACE_MS * 1e3
    late = metric.workload == "paced" and median(s["p50_us"] for s, _ in pairs) > 1.1 * ideal_us
    return Figure(median(values), ratio, late)


def figures(rounds: Rounds) -> list[tuple[Metric, dict[str, Figure | None]]]:
    """Return each metric that was measured with its figure by contender."""
    rows = []
    for metric in METRICS:
        by_contender = rounds.get(metric.workload, {})
        if floors := by_contender.get(FLOOR):
            rows.append((metric, {n: figure(metric, s, floors) for n, s in by_contender.items()}))
    return rows


def _verdict(value: float, target: float, *, more_is_better: bool = False) -> str:
    off = value / target - 1
    missed = off < 0 if more_is_better else off > 0
    return f"missed by {abs(off):.0%}" if missed else "met"


def _judge(metric: Metric, found: Figure | None) -> str:
    if found is None:
        return ""
    verdicts = []
    if metric.target is not None:
        verdicts.append(_verdict(found.value, metric.target, more_is_better=metric.more_is_better))
    if metric.target_ratio is not None and found.ratio is not None:
        verdicts.append(f"ratio {_verdict(found.ratio, metric.target_ratio)}")
    return ", ".join(verdicts)


def _wanted(metric: Metric) -> str:
    sign = "≥" if metric.more_is_better else "≤"
    parts = [] if metric.target is None else [f"{sign} {_number(metric.target)} {metric.unit}"]
    if metric.target_ratio is not None:
        parts.append(f"≤ {metric.target_ratio:g}x")
    return ", ".join(parts)


@dataclass(frozen=True)
class Results:
    """All that one run of the benches found."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    rounds: Rounds
    import_ms: Mapping[str, float]
    # By what was repeated, `calls` or `streams`, then by contender.
    soaks: Mapping[str, Mapping[str, Sample]]
    wheel_bytes: int | None
    failures: Sequence[str]

    @property
    def contenders(self) -> list[str]:
        """Every contender that has a figure, in the order of measuring."""
        return list(self.versions)


def table(results: Results) -> str:
    """Write the Markdown report."""
    names = results.contenders
    lines = [f"{key}: {value}  " for key, value in results.machine.items()]
    lines += ["contenders: " + ", ".join(f"{n} {v}" for n, v in results.versions.items()), ""]
    lines += [_row(["what", *names, "target", f"{SUBJECT} against it"]), _row(["---"] * (len(names) + 3))]
    rows = figures(results.rounds)
    for metric, found in rows:
        cells = [str(found.get(name) or "-") for name in names]
        label, verdict = f"{metric.label} ({metric.unit})", _judge(metric, found.get(SUBJECT))
        lines.append(_row([label, *cells, _wanted(metric), verdict]))
    lines += [_row(cells) for cells in _single_rows(results, names)]
    if any(f and f.late for _, found in rows for f in found.values()):
        lines += ["", "† could not keep up with the mock: many chunks were read at once, late."]
    if results.failures:
        lines += ["", *(f"- {failure}" for failure in results.failures)]
    return "\n".join(lines) + "\n"


def _single_rows(results: Results, names: Sequence[str]) -> list[list[str]]:
    """Write what is measured outside the rounds."""
    rows: list[tuple[str, dict[str, float], str, float]] = []
    if results.import_ms:
        rows.append(("import (ms)", dict(results.import_ms), "ms", IMPORT_TARGET_MS))
    for what, soak in results.soaks.items():
        calls = max(s["calls"] for s in soak.values())
        label = f"memory growth, first tenth to end of {calls:,} {what} (MiB)"
        rows.append((label, {n: growth_mib(s) for n, s in soak.items()}, "MiB", SOAK_TARGET_MIB))
    if results.wheel_bytes is not None:
        rows.append(("wheel (MB)", {SUBJECT: results.wheel_bytes / 1e6}, "MB", WHEEL_TARGET_MB))
    return [
        [
            label,
            *(_number(values[name]) if name in values else "-" for name in names),
            f"≤ {target:g} {unit}",
            _verdict(values[SUBJECT], target) if SUBJECT in values else "",
        ]
        for label, values, unit, target in rows
    ]


def growth_mib(soak: Sample) -> float:
    """Return how much memory grew once the first tenth of the calls had filled pools and caches."""
    samples = soak["rss_bytes_at_each_twentieth"]
    return float((samples[-1] - samples[1]) / 2**20)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plot(results: Results, path: Path) -> None:
    """Draw each metric as bars by contender on a logarithmic scale, its target as a line."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import NullFormatter

    rows = [
        (metric, shown)
        for metric, found in figures(results.rounds)
        # A logarithmic scale has no place for a difference that came out below zero.
        if (shown := {n: f for n, f in found.items() if f and f.value > 0})
    ]
    if not rows:
        return
    columns = 3
    height = -(-len(rows) // columns)
    canvas = Canvas(figsize=(4.6 * columns, 2.1 * height + 0.6), layout="constrained")
    axes = list(canvas.subplots(height, columns, squeeze=False).flat)
    for axis in axes:
        axis.set_visible(False)
    for axis, (metric, shown) in zip(axes, rows, strict=False):
        axis.set_visible(True)
        colours = ["#b5472f" if name == SUBJECT else "#7f8c99" for name in shown]
        bars = axis.barh(list(shown), [f.value for f in shown.values()], color=colours)
        axis.bar_label(bars, labels=[_number(f.value) for f in shown.values()], padding=3, fontsize=8)
        if metric.target is not None:
            axis.axvline(metric.target, color="black", linestyle="--", linewidth=1)
        axis.set_xscale("log")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.margins(x=0.25)
        axis.invert_yaxis()
        axis.set_title(f"{metric.label} ({metric.unit})", fontsize=9, loc="left")
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    facts = results.machine
    canvas.suptitle(f"{facts['CPU']} · {facts['commit']} · {facts['date']} · dashed: target", fontsize=9)
    # Text as text, not as outlines: smaller, and it can be searched.
    with rc_context({"svg.fonttype": "none"}):
        canvas.savefig(path)


def write(results: Results, folder: Path) -> None:
    """Write `library.json`, `library.md` and `library.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(results), indent=1, ensure_ascii=False)
    (folder / "library.json").write_text(text + "\n", encoding="utf-8")
    (folder / "library.md").write_text(table(results), encoding="utf-8")
    plot(results, folder / "library.svg")


def machine(cores: str) -> dict[str, str]:
    """Name what the figures depend on."""
    here = Path(__file__).parent
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
    git = ("git", "-C", str(here))
    described = subprocess.run(
        [*git, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "CPU": f"{cpu}, {os.cpu_count()} cores",
        "pinned": cores,
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "commit": described.stdout.strip() or "unknown",
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }
