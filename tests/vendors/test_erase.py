"""Erasure at each vendor: the files with a row of the person go, those of other jobs stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch import providers, results
from opensearch_batch.erase.provider_files import look_at_provider
from opensearch_batch.errors import Unavailable
from opensearch_batch.operators import EraseOperator
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.base import open_provider_store
from opensearch_batch.tasks.settings import settings_of_spec
from tests.sandbox.bench import Run, rows_of
from tests.sandbox.test_erase import WANTED
from tests.vendors.vendors import BUCKET, Scene, aws

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
    scene.server.pace("polls:3")  # slow enough for the looks of a submission and of an erasure
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


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_erasure_that_was_broken_off_among_the_files_ends_with_none_left(scene: Scene, nth: int) -> None:
    scene.through(with_person(), max_requests=150)
    before = stored(scene)
    scene.server.fault("answer", method=deletes(scene).method, path=deletes(scene).path, status=403, body="", every=nth)
    with suppress(AirflowFailException):  # a vendor has fewer calls
        erase(scene)
    scene.server.no_more_faults()
    assert erase(scene)["state"] == "erased"
    assert len(stored(scene)) == len(before) - 1
    assert secrets_at(scene) == []


def test_an_input_file_that_is_deleted_while_the_vendor_is_looked_at_is_passed_over(scene: Scene) -> None:
    scene.through(rows_of(300), max_requests=150)
    spec = BatchSpec.check(scene.spec)
    store = open_provider_store(settings_of_spec(spec))
    looked = look_at_provider(store, providers.get(spec.model.provider), WANTED, [])
    first = next(looked)
    (gone,) = stored(scene).keys() - {first.id}
    store.delete_file(gone)
    assert [*looked] == []


def test_rows_of_an_upload_that_broke_off_go_too(scene: Scene) -> None:
    """An upload is known to a run once it is complete; of a half one the rows are at the vendor all the same."""
    if scene.vendor.name == "cohere":
        pytest.skip("a dataset is there whole or not at all")
    bundles = scene.ready(with_person())
    scene.server.fault("answer", method="PUT", path=f"/{BUCKET}/jobs/uploads/", status=403, body="")
    with pytest.raises(AirflowFailException):
        scene.submit(bundles)
    assert len(secrets_at(scene)) == 1
    assert erase(scene, unfinished="cancel")["state"] == "erased"
    assert secrets_at(scene) == []


class Deletes(NamedTuple):
    """The call by which a vendor's files are deleted."""

    method: str
    path: str


def deletes(scene: Scene) -> Deletes:
    return Deletes("DELETE", "^/v1/datasets/") if scene.vendor.name == "cohere" else Deletes("POST", f"/{BUCKET}$")


def secrets_at(scene: Scene) -> list[str]:
    """The objects in S3 with the person's text."""
    if scene.vendor.name == "cohere":
        return []
    s3 = aws(scene.server, "s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    return [key for key in keys if SECRET.encode() in s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()]


def retried(step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """As Airflow would, without its pauses."""
    for _ in range(20):
        try:
            return step()
        except Unavailable:
            continue
    return step()
