"""RESULTS.md: tables of measurements, with the machine and the date they were made on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Cost, Measured

FILE = Path(__file__).with_name("RESULTS.md")
HEADING = """# Benchmark results

A section is written by the run that it names, and replaced by the next run of its kind; the others stay.

Beside others: each side runs in a process of its own; sides take turns, and after every round their results are checked
to be equal. CPU is user and system time of the work, without imports and without the loopback server that serves and
takes the files. Peak is the process's largest resident memory above that of one which imports the same and does
nothing.
"""
HEAD = (
    "| work | reference | CPU s, ours | CPU s, reference | CPU ratio | peak MB, ours | peak MB, reference "
    "| rows/s, ours | rows/s, reference |\n|---|---|--:|--:|--:|--:|--:|--:|--:|"
)


def table(measured: Sequence[Measured]) -> str:
    """One line for each reference; the ratio is ours over the reference, so below 1 is cheaper."""
    return "\n".join([HEAD, *(line for one in measured for line in _lines(one))])


def _lines(one: Measured) -> list[str]:
    own, *others = one.costs
    work = f"{one.benchmark.title}: {one.rows:,} rows, {one.bytes / 1e6:,.0f} MB"
    return [
        f"| {work} | {side.name} | {_cpu(own, one.rows)} | {_cpu(cost, one.rows)} | {_ratio(own, cost)} "
        f"| {own.peak_bytes / 1e6:,.0f} | {cost.peak_bytes / 1e6:,.0f} "
        f"| {one.rows / own.wall_seconds:,.0f} | {one.rows / cost.wall_seconds:,.0f} |"
        for side, cost in zip(one.benchmark.sides[1:], others, strict=True)
    ]


def _cpu(cost: Cost, rows: int) -> str:
    return f"{cost.cpu_seconds:.2f} ({cost.cpu_seconds / rows * 1e6:,.1f} µs a row)"


def _ratio(own: Cost, reference: Cost) -> str:
    """A tiny run may cost less than the clock resolves."""
    return f"{own.cpu_seconds / reference.cpu_seconds:.2f} ×" if reference.cpu_seconds else "–"


def keep(file: Path, title: str, text: str) -> None:
    """Write the section of this title, with today's date; the file's other sections stay as they are."""
    parts = file.read_text(encoding="utf-8").split("\n## ")[1:] if file.exists() else []
    sections = dict(part.split("\n", 1) for part in parts)
    sections[title] = f"\n{datetime.now(UTC):%Y-%m-%d}. {text.strip()}\n"
    written = [HEADING.strip(), *(f"## {name}\n{body.rstrip()}" for name, body in sections.items())]
    file.write_text("\n\n".join(written) + "\n", encoding="utf-8")


def page(measured: Sequence[Measured], *, scale: float, rounds: int, command: str) -> str:
    return f"""Written by `{command}`.
Scale {scale:g} (1 is the full size), medians of {rounds} rounds.
Machine: {machine()}.

{table(measured)}
"""


def machine() -> str:
    """With the processor's name where the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()}"
    )
