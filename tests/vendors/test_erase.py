"""Erasure at each vendor: the files with a row of the person go, those of other jobs stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch import providers, results
from opensearch_batch.errors import Unavailable
from opensearch_batch.operators import EraseOperator
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.base import open_provider_store
from opensearch_batch.tasks.settings import settings_of_spec
from tests.sandbox.bench import Run, rows_of
from tests.vendors.vendors import Scene

SECRET = "Plainly Fake Person, 1 Nowhere Street"
ROWS = rows_of(250)


def with_person(at: int = 7) -> list[dict[str, Any]]:
    return [*ROWS[:at], {"id": "person", "text": SECRET}, *ROWS[at:]]


def erase(scene: Scene, run_id: str = "erasure", **settings: Any) -> dict[str, Any]:
    operator = EraseOperator(task_id="erase", spec=scene.spec, **{"ids": ["person"], "remove": True, **settings})
    told = Run(scene.run.folder, run_id).execute(operator)
    found: dict[str, Any] = json.loads(Path(told["proof"].removeprefix("file://")).read_bytes())
    return found


def stored(scene: Scene) -> dict[str, int]:
    """Bytes of each input file of this package that the vendor has."""
    store = open_provider_store(settings_of_spec(BatchSpec.check(scene.spec)))
    return {each["id"]: each["bytes"] for each in store.recent_uploads(0.0)}


def outputs(scene: Scene, report: dict[str, Any]) -> list[str]:
    spec = BatchSpec.check(scene.spec)
    store, vendor = open_provider_store(settings_of_spec(spec)), providers.get(spec.model.provider)
    jobs = [vendor.read_job(store.get_job(job["provider_job_id"])) for job in report["jobs"]]
    return [each for job in jobs for each in job.outputs if store.file_bytes(each) is not None]


def test_the_files_with_the_row_go_and_the_others_stay(scene: Scene, tmp_path: Path) -> None:
    report = scene.through(with_person(), max_requests=150)
    before, made = stored(scene), outputs(scene, report)
    assert len(before) == len(made) == 2
    proof = erase(scene)
    assert proof["state"] == "erased"
    after = stored(scene)
    assert len(after) == 1
    assert after.items() <= before.items()
    assert len(outputs(scene, report)) == 1
    kinds = {place["kind"] for place in proof["places"] if place["found"]}
    assert kinds == {"provider file", "work file", "results"}
    rows = {row["id"] for row in results.open(f"file://{scene.run.out}/manifest.json")}
    assert rows == {row["id"] for row in ROWS}
    left = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert left == [tmp_path / "in.jsonl"], "the input is the user's"
    assert any(each["what"].endswith("in.jsonl") for each in proof["not_removed"])


def test_a_job_that_runs_is_refused_or_cancelled(scene: Scene) -> None:
    scene.server.pace("clock:15")  # a dataset takes as long to be validated
    scene.submit(scene.ready(with_person()))
    with pytest.raises(AirflowFailException, match="not ended, and landing would bring these rows back"):
        erase(scene)
    [before] = stored(scene)
    with pytest.raises(Unavailable, match="have not ended yet"):
        erase(scene, unfinished="cancel")
    scene.server.pace("instant")
    proof = retried(lambda: erase(scene, unfinished="cancel"))
    assert proof["state"] == "erased"
    assert stored(scene) == {}
    assert any(place["at"].startswith(before) and place["found"] for place in proof["places"])
    left = [path for path in (scene.run.folder / "work").rglob("*") if path.is_file()]
    assert {path.parents[1].name for path in left} == {"jobs"}, "the claims of jobs, which name no row"
    again = erase(scene, "again")
    assert sum(place["found"] for place in again["places"]) == 0


def retried(step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """As Airflow would, without its pauses."""
    for _ in range(20):
        try:
            return step()
        except Unavailable:
            continue
    return step()
