"""A run whose batch is at the provider, and who looks at it from one moment on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stack.run import DagRun
from tests.patience import eventually
from tests.real.runs import logs, state_of

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.real.provider import Provider

WAIT = "shard.wait_for_batch"
ROWS = 20
DID_NOT_ANSWER = "The cluster did not answer for it: it is followed at the provider."


@dataclass(frozen=True)
class Waiting:
    """A run of the demo's spec with one job, which ends when ``finish`` says so."""

    run: DagRun
    provider: Provider
    job_path: str

    @classmethod
    def begin(cls, airflow: Stack, provider: Provider) -> Waiting:
        """Return when the wait is the triggerer's."""
        provider.pace("clock:600")
        run = DagRun.trigger(airflow, "batch_inference", {"spec": "embed_stdlib_docs", "rows": ROWS})
        eventually("deferred", lambda: state_of(run, WAIT) == "deferred", run.progress)
        [job] = run.xcom("shard.submit_batch", map_index=0)
        return cls(run, provider, f"/v1/batches/{job['provider_job_id']}")

    def is_seen_by(self, who: str) -> None:
        """Wait for a look by "cluster" or "airflow" (see Provider.calls) that has not happened yet."""
        before = len(self.provider.calls("GET", self.job_path))
        eventually(f"a look by {who}", lambda: who in self.provider.calls("GET", self.job_path)[before:])

    def finish(self) -> None:
        """The job ends, and the run with it: all rows answered, one job paid, told once that the cluster was away."""
        self.provider.pace("instant")
        assert self.run.wait() == "success"
        report = self.run.xcom("report")
        assert (report["answered"], report["failed"], report["missing"]) == (ROWS, 0, 0)
        assert len(self.provider.ledger()) == 1
        assert {task["try_number"] for task in self.run.tasks() if task["state"] != "skipped"} == {1}
        assert logs(self.run, WAIT).count(DID_NOT_ANSWER) == 1
