"""Landed: what became of one shard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opensearch_batch.flow.values import Value


@dataclass(frozen=True)
class Landed(Value):
    """What became of one shard. `answered + failed + missing`, and the rows handed on to a repair round (`passing`,
    counted by code), make `records`; duplicates, foreign and unreadable lines come on top.

    `results`, `failures` and `repair` (the rows handed on) are {"uri", "rows", "bytes", "sha256"}, None where there are
    no such rows. `examples` are the first failed rows of each code, {"id", "code", "message"}.
    """

    job: dict[str, Any]
    state: str
    records: int
    answered: int
    failed: int
    missing: int
    duplicates: int
    foreign: int
    unreadable: int
    input_tokens: int
    output_tokens: int
    codes: dict[str, int] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    examples: list[dict[str, str]] = field(default_factory=list)
    results: dict[str, Any] | None = None
    failures: dict[str, Any] | None = None
    passing: dict[str, int] = field(default_factory=dict)
    repair: dict[str, Any] | None = None
    instance_seconds: float = 0.0

    @property
    def round(self) -> int:
        """0 for the run's own shards, else the repair round."""
        return int((self.job.get("shard") or {}).get("round", 0))
