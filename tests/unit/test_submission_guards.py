"""Each look before a submission counts by itself: here it is the only one that can know."""

from __future__ import annotations

import pytest

from opensearch_batch.errors import Unavailable
from tests.unit.fakes import Killed
from tests.unit.test_submission import KEY, RAW, SETTLE, SHARD, Case, case, end

__all__ = ["case"]


def killed_after_submit(case: Case) -> None:
    case.world.kill_after_submit()
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)


def test_a_job_that_only_the_cluster_shows_is_found(case: Case) -> None:
    killed_after_submit(case)
    case.world.lists_lag = True
    assert case.submitter().submit(SHARD).task_id == "task-1"
    assert case.billed == ["batch_1"]


def test_a_search_without_an_answer_does_not_mean_that_there_is_no_job(case: Case) -> None:
    killed_after_submit(case)
    case.world.lists_lag = case.world.search_is_down = True
    for _ in range(2):
        with pytest.raises(Unavailable, match="no answer to the search"):
            case.submitter().submit(SHARD)
        case.clock.time += SETTLE
    assert case.billed == ["batch_1"]


def test_an_upload_that_nobody_noted_may_be_on_its_way(case: Case) -> None:
    """Another try was killed, its notes are gone, and the cluster is still sending."""
    case.world.fail(Killed())
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    case.memory.values.clear()
    case.clock.at_sleep = [lambda: case.world.new_job("file-1")]
    assert case.submitter().submit(SHARD).provider_job_id == "batch_1"
    assert (case.billed, len(case.world.submissions)) == (["batch_1"], 1)


def test_a_noted_spent_job_whose_rows_a_repair_round_has_is_kept_though_nobody_shows_it(case: Case) -> None:
    first = case.submitter().submit(SHARD)
    end(case, 1, "expired")
    case.world.tasks.clear()
    case.world.lists_lag = True
    assert case.submitter(is_there=lambda uri: uri == SHARD.handed_on_uri(KEY)).submit(SHARD) == first
    assert case.billed == ["batch_1"]


def test_a_task_of_another_type_on_the_same_file_is_not_ours(case: Case) -> None:
    case.world.fail(Killed())
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    ingested = case.world.new_job("file-1", "completed", output_file_id="file-o")
    case.world.types[case.world.new_task(ingested)] = "BATCH_INGEST"
    case.world.lists_lag = True
    assert case.submitter().submit(SHARD).provider_job_id == "batch_2"


def test_other_parameters_make_another_job_of_the_same_rows(case: Case) -> None:
    jobs = [case.submitter(parameters={"dimensions": n}).submit(SHARD) for n in (8, 16, 8)]
    assert [job.provider_job_id for job in jobs] == ["batch_1", "batch_2", "batch_1"]


def test_other_raw_parameters_make_another_job_of_the_same_file(case: Case) -> None:
    jobs = [case.submitter(parameters=RAW | {"model": name}).submit_parameters() for name in ("m", "n", "m")]
    assert [job.provider_job_id for job in jobs] == ["batch_1", "batch_2", "batch_1"]
