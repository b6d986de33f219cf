"""One run of a job: the request, the faults ordered for the job, and drafts, removed when the run is stopped."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from sandbox.backlog import Stopped
from sandbox.damage import Damage
from sandbox.ids import derived
from sandbox.odd_lines import OddLines

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.aws_face.jobs import Document, Jobs


class Attempt:
    KIND: str
    """What the names of its drafts begin with."""

    def __init__(self, jobs: Jobs, id: str, run: int, check: Callable[[], None]) -> None:
        self._jobs, self._id, self._run_number, self._check = jobs, id, run, check
        body = jobs.get(id)
        assert body is not None
        self._asked: Document = body["public"]
        self._work: Document = body["work"]
        self._faults = self._work["faults"]
        self._damage, self._odd = Damage(self._faults), OddLines(self._faults)

    def run(self) -> None:
        try:
            self._execute()
        except Stopped:
            for path in self._jobs.box.state.work.glob(self._draft("*")):
                path.unlink()
            raise

    @abstractmethod
    def _execute(self) -> None:
        """Raise Stopped where the run counts no more."""

    def _draft(self, part: object) -> str:
        return f"{self.KIND}-{derived(self._id)}-{part}"
