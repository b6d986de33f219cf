"""The page that a run leaves beside its transcript: what held, what was measured, what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from live.checks import Check

SIGNS = {True: "held", False: "DID NOT HOLD", None: "noted"}


@dataclass
class Summary:
    """Filled in while the run goes on; `page` can be made at any time."""

    date: str
    version: str = "unknown"
    model: str = ""
    checks: list[Check] = field(default_factory=list)
    measured: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def good(self) -> bool:
        return not self.error and bool(self.checks) and all(check.held is not False for check in self.checks)

    def page(self, transcript: str, lines: Sequence[dict[str, Any]]) -> str:
        calls = Counter((line["to"], line["status"] // 100) for line in lines if "status" in line)
        counts = ", ".join(f"{to} {hundreds}xx: {n}" for (to, hundreds), n in sorted(calls.items()))
        parts = [
            f"# Live run of {self.date}\n",
            f"OpenSearch {self.version}, model {self.model}. Every call: {transcript} ({counts or 'none'}).\n",
            f"**{'Everything held.' if self.good else 'Not everything held.'}**\n",
        ]
        if self.error:
            parts.append(f"It ended with: {self.error}\n")
        if self.checks:
            parts.append(_table(("contract", "", "seen"), [(c.name, SIGNS[c.held], c.seen) for c in self.checks]))
        if self.measured:
            parts.append(_table(("ten rows", ""), list(self.measured.items())))
        if self.left:
            parts.append("Left behind:\n\n" + "".join(f"- {_cell(line)}\n" for line in self.left))
        return "\n".join(parts)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    """On one line, and short: the transcript has it whole."""
    flat = " ".join(text.split()).replace("|", "\\|")
    return flat if len(flat) <= 200 else f"{flat[:200]}…"
