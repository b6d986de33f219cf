"""Verdict: whether a run owns a job, by the job's claim and by what Airflow knows. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from opensearch_batch.submit.claims import Claim


class Runs(Protocol):
    """What an Airflow knows of runs."""

    def state(self, dag_id: str, run_id: str) -> str | None:
        """Return the run's state; None where there is no such run."""
        ...

    def has_version(self, dag_version: str) -> bool:
        """Return whether a version of a DAG is this Airflow's."""
        ...


@dataclass(frozen=True)
class Verdict:
    """`unknown`: who owns the job cannot be told. Only an `orphan` may be cancelled."""

    owner: Literal["run", "orphan", "unknown"]
    why: str


def verdict(claim: Claim | None, runs: Runs, shares: Sequence[Claim] = ()) -> Verdict:
    """`shares` are the claims of runs that have taken the job as theirs too.

    Take a job for an orphan only where this Airflow has had its run and has it no more: another Airflow, or an empty
    database, does not know the run either.
    """
    if claim is None:
        return Verdict("unknown", "no claim of it at work_uri: of another work_uri, or of an earlier version")
    if state := runs.state(claim.dag_id, claim.run_id):
        return Verdict("run", f"of the run {claim.run} ({state}), task {claim.task}")
    if not runs.has_version(claim.dag_version):
        return Verdict(
            "unknown",
            f"of the run {claim.run}: this Airflow knows neither the run nor the version of its DAG. Another Airflow "
            "may have the run, or the whole DAG was deleted",
        )
    for share in shares:
        found = verdict(share, runs)
        if found.owner != "orphan":
            return Verdict(found.owner, f"of the run {claim.run}, which was deleted, and shared: {found.why}")
    return Verdict("orphan", f"of the run {claim.run}, which was deleted")
