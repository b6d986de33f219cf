"""Jobs that no run owns are found and cancelled at each vendor, and what a run waits for is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opensearch_batch.orphans import __main__ as orphans
from opensearch_batch.providers.cohere import store as cohere_datasets
from opensearch_batch.spec import BatchSpec
from tests.sandbox.bench import Run, Server, TaskInstance, rows_of
from tests.unit.test_orphans import Airflow
from tests.vendors.vendors import Scene

if TYPE_CHECKING:
    import pytest


def test_only_the_job_of_the_deleted_run_is_cancelled(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cohere_datasets, "PAUSE_SECONDS", 0.0)
    bundles = scene.ready(rows_of(120))
    server.pace("polls:40")
    (gone,) = scene.submit(bundles)
    scene.run = Run(scene.run.folder, "manual__waits")
    (waits,) = scene.submit(scene.prepare(rows_of(130)))
    spec = BatchSpec.check(scene.spec)
    airflow = Airflow({"by_hand/manual__waits": "running"}, (str(TaskInstance.dag_version_id),))
    assert orphans.look(spec, orphans._store_of(spec), airflow, cancel=True) == 0
    said = capsys.readouterr().out
    assert f"owned {waits['provider_job_id']} (" in said
    assert f"ORPHAN {gone['provider_job_id']} (" in said
    assert said.count("; cancelled") == 1
    server.pace("instant")
    (ended,) = scene.wait([gone])
    (landed,) = scene.wait([waits])
    assert (ended["state"], landed["state"]) == ("cancelled", "completed")
