"""What the other vendors may say on a bad day: no row is lost, nothing is paid twice, no wait ends early."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.errors import Unavailable
from tests.sandbox.bench import Server, rows_of
from tests.vendors.vendors import BEDROCK, SAGEMAKER, Scene

ROWS = 120


def counts(report: Any) -> tuple[int, int, int]:
    return report["answered"], report["failed"], report["missing"]


@pytest.mark.parametrize(
    "fault",
    [
        {"name": "wrong_size", "size": 0, "times": -1},
        {"name": "wrong_size", "size": "absent", "times": -1},
        {"name": "id_later", "reads": 2},
        {"name": "null_entry", "times": -1},
        {"name": "no_has_more", "times": -1},
        {"name": "odd_job", "as": "no_time", "times": -1},
        {"name": "odd_job", "as": "time_text", "times": -1},
        {"name": "odd_job", "as": "error_texts", "times": -1},
        {"name": "refuse_file", "which": "error", "status": 403},
    ],
    ids=lambda fault: " ".join(map(str, fault.values())),
)
def test_all_rows_land_and_one_job_is_paid(scene: Scene, server: Server, fault: dict[str, Any]) -> None:
    bundles = scene.ready(rows_of(ROWS))
    server.fault(fault["name"], **{name: value for name, value in fault.items() if name != "name"})
    assert counts(scene.report(scene.fetch(scene.wait(scene.submit(bundles))))) == (ROWS, 0, 0)
    assert len(scene.vendor.jobs(server)) == 1


@pytest.mark.parametrize("fault", ["file_later", "rows_later"])
def test_files_that_lag_are_read_again(scene: Scene, server: Server, fault: str) -> None:
    bundles = scene.ready(rows_of(ROWS))
    server.fault(fault, reads=1)
    outcomes = scene.wait(scene.submit(bundles))
    with pytest.raises(Unavailable):
        scene.fetch(outcomes)
    assert scene.run.files() == [], "nothing lands in part"
    assert counts(scene.report(scene.fetch(outcomes))) == (ROWS, 0, 0)
    assert len(scene.vendor.jobs(server)) == 1


def test_files_that_lag_are_read_again_where_no_counts_are_told(scene: Scene, server: Server) -> None:
    bundles = scene.ready(rows_of(ROWS))
    server.fault("odd_job", **{"as": "counts_text"}, times=-1)
    server.fault("file_later", reads=1)
    outcomes = scene.wait(scene.submit(bundles))
    with pytest.raises(Unavailable):
        scene.fetch(outcomes)
    assert scene.run.files() == [], "nothing lands, and no row counts as missing"
    assert counts(scene.report(scene.fetch(outcomes))) == (ROWS, 0, 0)
    assert len(scene.vendor.jobs(server)) == 1


@pytest.mark.parametrize("shape", ["html", "empty", "null", "list"])
def test_no_odd_body_ends_a_wait(scene: Scene, server: Server, shape: str) -> None:
    jobs = scene.submit(scene.ready(rows_of(ROWS)))
    server.fault("answer", method="GET", path="/_plugins/_ml/tasks/", status=500, body="away", times=-1)
    server.fault("odd_body", **{"as": shape}, path=scene.vendor.look, times=3)
    assert counts(scene.report(scene.fetch(scene.wait(jobs)))) == (ROWS, 0, 0)


@pytest.mark.parametrize("shape", ["null", "nan", "empty"])
def test_a_vector_without_numbers_is_a_failure_by_name(scene: Scene, server: Server, shape: str) -> None:
    bundles = scene.ready(rows_of(ROWS))
    server.fault("odd_vectors", **{"as": shape}, count=1)
    fetched = scene.fetch(scene.wait(scene.submit(bundles)), max_failed_fraction=0.5)
    assert [each["codes"] for each in fetched["landed"]] == [{"not_a_vector": 1}]
    assert [each["answered"] for each in fetched["landed"]] == [ROWS - 1]
    assert len(scene.vendor.jobs(server)) == 1


@pytest.mark.parametrize("vendor", [SAGEMAKER, BEDROCK], ids=lambda vendor: vendor.name, indirect=True)
def test_a_first_line_that_is_cut_leaves_the_others_their_rows(scene: Scene, server: Server) -> None:
    bundles = scene.ready(rows_of(ROWS))
    server.fault("cut_row")
    (landed,) = scene.fetch(scene.wait(scene.submit(bundles)))["landed"]
    assert (landed["answered"], landed["unreadable"], landed["missing"]) == (ROWS - 1, 1, 1)
