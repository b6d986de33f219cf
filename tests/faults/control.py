"""The other side of the probe: what a test orders, and what the halted processes have told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults.steps import Guard, Step

PROBE = Path(__file__).with_name("probe")


@dataclass(frozen=True)
class Halt:
    """One order: the first process of the run that comes to the step halts there."""

    path: Path

    @property
    def reached(self) -> dict[str, Any] | None:
        """The halted process, or None."""
        told = self.path.with_suffix(".reached")
        return dict(json.loads(told.read_text())) if told.exists() else None

    def release(self) -> None:
        self.path.with_suffix(".go").touch()


class Control:
    """The control folder of a stack."""

    def __init__(self, folder: Path, steps: Iterable[Step], guards: Iterable[Guard]) -> None:
        self._orders, self._removed = folder / "orders", folder / "removed"
        self.folder = folder
        for made in (self._orders, self._removed):
            made.mkdir(parents=True)
        points = [{"point": point} for point in dict.fromkeys(step.point for step in steps)]
        switches = [
            {"point": guard.point, "guard": guard.name, "instead": guard.instead, "call": guard.call}
            for guard in guards
        ]
        (folder / "points.json").write_text(json.dumps([*points, *switches]))

    @property
    def settings(self) -> Mapping[str, str]:
        """Environment of the processes that are to be halted."""
        return {"PYTHONPATH": str(PROBE), "FAULTS_CONTROL": str(self.folder)}

    def halt(self, step: Step, run_id: str) -> Halt:
        path = self._orders / f"{uuid.uuid4().hex}.json"
        order = {name: value for name, value in asdict(step).items() if name != "name"} | {"run_id": run_id}
        part = path.with_suffix(".new")
        part.write_text(json.dumps(order))
        part.rename(path)
        return Halt(path)

    def remove(self, guards: Iterable[str], run_id: str) -> None:
        """For this run the guards are none."""
        (self._removed / f"{run_id}.json").write_text(json.dumps(list(guards)))
