"""A cell: a step of a vendor's run, and the fault that strikes there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.faults.steps import Step

ROWS = 3
LEAST_ROWS = {"bedrock": 100}
"""Rows that a vendor takes at least in a job."""
ROWS_A_JOB = {"openai": 4, "sagemaker": 4, "bedrock": 100, "cohere": 4}
"""Rows of a job that is full, as the cells' DAGs have them."""


@dataclass(frozen=True)
class Cell:
    """`removed` names the guards that are none for the cell's run. A cell without a step has no halt. `name` tells
    cells of the same fault and step apart.
    """

    fault: str
    step: Step | None
    vendor: str = "openai"
    removed: tuple[str, ...] = ()
    rows: int = ROWS
    name: str = ""

    @property
    def place(self) -> str:
        return self.step.name if self.step else "-"

    @property
    def run_id(self) -> str:
        words = [*filter(None, [self.name]), self.vendor, self.fault, self.place, *self.removed]
        return re.sub(r"[^a-z0-9.]+", "-", "_".join(words).lower()).strip("-")

    @property
    def planned(self) -> dict[str, str]:
        """Text by row id: ids of no other cell."""
        return {f"{self.run_id}.{number}": f"row {number} of {self.run_id}" for number in range(self.rows)}
