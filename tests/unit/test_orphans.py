"""Whose a job is: an orphan only where this Airflow has had its run and has it no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest
from airflow.models import import_all_models
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from opensearch_batch.errors import Unavailable
from opensearch_batch.orphans.at_provider import running_jobs
from opensearch_batch.orphans.known_runs import KnownRuns
from opensearch_batch.orphans.verdict import verdict
from opensearch_batch.providers import DEFAULT
from opensearch_batch.submit.claims import Claim
from opensearch_batch.submit.names import file_name, hash_key
from tests.unit.fakes import World

VERSION = str(UUID(int=7))
CLAIM = Claim("batch-1", "nightly", "manual__1", "shard.submit_batch-0", VERSION, "file-1", 0.0, 0.0)


@dataclass
class Airflow:
    runs: dict[str, str] = field(default_factory=dict)
    versions: tuple[str, ...] = (VERSION,)

    def state(self, dag_id: str, run_id: str) -> str | None:
        return self.runs.get(f"{dag_id}/{run_id}")

    def has_version(self, dag_version: str) -> bool:
        return dag_version in self.versions


def test_a_job_of_a_run_that_was_deleted_is_an_orphan() -> None:
    found = verdict(CLAIM, Airflow())
    assert (found.owner, found.why) == ("orphan", "of the run nightly/manual__1, which was deleted")


@pytest.mark.parametrize("state", ["queued", "running", "success", "failed"])
def test_a_run_that_is_there_owns_its_job_whatever_its_state(state: str) -> None:
    found = verdict(CLAIM, Airflow({"nightly/manual__1": state}))
    assert (found.owner, found.why) == ("run", f"of the run nightly/manual__1 ({state}), task shard.submit_batch-0")


def test_a_job_without_a_claim_is_nobodys_to_cancel() -> None:
    assert verdict(None, Airflow()).owner == "unknown"


def test_an_airflow_that_never_had_the_dags_version_does_not_tell() -> None:
    """As an empty database, or that of another Airflow with the same DAG."""
    assert verdict(CLAIM, Airflow(versions=())).owner == "unknown"


@pytest.fixture
def session() -> Iterator[Session]:
    """A database of Airflow with these two tables, in memory."""
    import_all_models()  # type: ignore[no-untyped-call]
    engine = create_engine("sqlite://")
    for table in (DagVersion.__table__, DagRun.__table__):
        table.create(engine)
    with Session(engine) as made:
        yield made
    engine.dispose()


def test_runs_and_versions_are_those_of_airflows_database(session: Session) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    version = {"id": UUID(VERSION), "version_number": 1, "dag_id": "nightly", "created_at": now, "last_updated": now}
    session.execute(insert(DagVersion).values(version))
    run = {"dag_id": "nightly", "run_id": "manual__1", "state": "running", "run_after": now, "log_template_id": 1}
    kind = {"run_type": DagRunType.MANUAL, "triggered_by": DagRunTriggeredByType.TEST}
    session.execute(insert(DagRun).values(run | kind))
    session.commit()
    runs = KnownRuns(session)
    assert runs.state("nightly", "manual__1") == "running"
    assert runs.state("nightly", "manual__2") is None
    assert runs.state("other", "manual__1") is None
    assert runs.has_version(VERSION)
    assert not runs.has_version(str(UUID(int=8)))
    assert not runs.has_version("")


def test_a_database_without_airflows_tables_does_not_tell() -> None:
    engine = create_engine("sqlite://")
    with Session(engine) as empty, pytest.raises(Unavailable, match="nobody knows which jobs are owned"):
        KnownRuns(empty).state("nightly", "manual__1")
    engine.dispose()


def test_only_running_jobs_of_this_package_are_looked_at() -> None:
    world, key = World(), hash_key("run", "rows")
    ours = [world.upload(None, file_name(key, attempt)) for attempt in (1, 2)]  # type: ignore[arg-type]
    foreign = world.upload(None, "batch-mine.jsonl")  # type: ignore[arg-type]
    world.new_job(ours[0], "failed")
    world.new_job(ours[1], "in_progress")
    world.new_job(ours[1], "cancelling")
    world.new_job(ours[1], "a-new-word")
    world.new_job(foreign, "in_progress")
    world.new_job("file-gone", "in_progress")
    found = list(running_jobs(world, DEFAULT, now=0.0))
    assert [(job.id, job.key, job.ending) for job in found] == [
        ("batch_4", key, False),
        ("batch_3", key, True),
        ("batch_2", key, False),
    ]
    assert "'a-new-word' is not known" in found[0].told
