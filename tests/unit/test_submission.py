"""Submission: one job for each shard, however often it runs and wherever it is killed. Time is made up."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from opensearch_batch import providers
from opensearch_batch.cluster.ml_commons import REPEAT_SECONDS
from opensearch_batch.errors import (
    NoRoom,
    OutcomeUnknown,
    Refused,
    SpecError,
    TaskLimit,
    Throttled,
    Unavailable,
    UnknownAnswer,
)
from opensearch_batch.flow.shards import Shard
from opensearch_batch.submit.admission import TRY_AGAIN_SECONDS, Admission, Limits, LiveJob, MustWait
from opensearch_batch.submit.names import file_name, shard_key
from opensearch_batch.submit.settle import LIST_LAG_SECONDS, LONG_SETTLE_SECONDS
from opensearch_batch.submit.submission import Submitter
from tests.unit.fakes import Clock, Killed, Memory, World

SHARD = Shard(0, "mem://0", "sha-0", 10, 100, 25)
SETTLE = 60.0


class Case:
    """What survives the worker: the world outside, the task's memory, the time."""

    def __init__(self) -> None:
        self.world, self.memory, self.clock = World(), Memory(), Clock()

    def submitter(self, run: str = "dag|run|task", **settings: Any) -> Submitter:
        """As a try of the task makes it: nothing is remembered but what was noted."""
        return Submitter(
            send=self.world.send,
            store=self.world,
            provider=providers.DEFAULT,
            memory=self.memory,
            run=run,
            model_id="model-1",
            now=self.clock.now,
            sleep=self.clock.sleep,
            **({"settle_seconds": SETTLE} | settings),
        )

    @property
    def billed(self) -> list[str]:
        return [job["id"] for job in self.world.jobs]

    def names(self) -> list[str]:
        return [name for name, _ in self.world.files]


@pytest.fixture
def case() -> Case:
    return Case()


KEY = shard_key("dag|run|task", SHARD)


def test_a_new_shard_is_uploaded_under_its_key_and_submitted(case: Case) -> None:
    job = case.submitter().submit(SHARD)
    assert case.names() == [f"{KEY}-a1.jsonl"]
    assert (job.key, job.attempt, job.provider_job_id, job.task_id) == (KEY, 1, "batch_1", "task-1")
    assert (job.input_file_id, job.model_id, job.shard) == ("file-1", "model-1", SHARD)
    assert case.world.submissions == [{"input_file_id": "file-1"}]
    assert case.clock.slept == []


def test_parameters_override_the_connectors_but_not_the_file(case: Case) -> None:
    case.submitter(parameters={"model": "other", "input_file_id": "stray"}).submit(SHARD)
    assert case.world.submissions == [{"model": "other", "input_file_id": "file-1"}]


def test_a_job_nobody_noted_is_found_at_the_provider_while_the_cluster_is_down(case: Case) -> None:
    case.world.kill_after_submit()
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    case.world.cluster_is_down = True
    job = case.submitter().submit(SHARD)
    assert (job.provider_job_id, job.task_id) == ("batch_1", None)
    assert case.billed == ["batch_1"]


def test_while_the_cluster_is_down_a_job_that_is_not_found_may_still_be_there(case: Case) -> None:
    case.world.kill_after_submit()
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    case.world.cluster_is_down = case.world.lists_lag = True
    with pytest.raises(Unavailable, match="no answer from the cluster"):
        case.submitter().submit(SHARD)
    assert case.billed == ["batch_1"]


def test_submitting_again_gives_the_same_job(case: Case) -> None:
    first = case.submitter().submit(SHARD)
    assert [case.submitter().submit(SHARD) for _ in range(3)] == [first] * 3
    assert (case.billed, len(case.world.files)) == (["batch_1"], 1)


def test_a_noted_job_counts_even_while_nobody_else_shows_it(case: Case) -> None:
    """A provider's list may lag, and a task may be deleted from the cluster."""
    first = case.submitter().submit(SHARD)
    case.world.tasks.clear()
    case.world.lists_lag = True
    assert case.submitter().submit(SHARD) == first
    assert case.billed == ["batch_1"]


def test_killed_between_upload_and_note_the_upload_is_used(case: Case) -> None:
    case.memory.kill_at_set = 1
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    assert (case.billed, len(case.world.files)) == ([], 1)
    job = case.submitter().submit(SHARD)
    assert (job.input_file_id, case.billed, len(case.world.files)) == ("file-1", ["batch_1"], 1)


def test_killed_between_note_and_submit_the_upload_is_used(case: Case) -> None:
    case.world.fail(Killed())
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    job = case.submitter().submit(SHARD)
    assert (job.input_file_id, job.attempt, case.billed) == ("file-1", 1, ["batch_1"])


def test_killed_between_submit_and_note_the_job_is_found_in_the_cluster(case: Case) -> None:
    case.world.kill_after_submit()
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    job = case.submitter().submit(SHARD)
    assert (job.provider_job_id, job.task_id) == ("batch_1", "task-1")
    assert (case.billed, len(case.world.submissions), len(case.world.files)) == (["batch_1"], 1, 1)


def test_killed_while_the_answer_is_noted_the_job_is_found(case: Case) -> None:
    case.memory.kill_at_set = 2
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    assert case.submitter().submit(SHARD).provider_job_id == "batch_1"
    assert case.billed == ["batch_1"]


def test_without_any_memory_the_job_is_found_by_the_files_name(case: Case) -> None:
    first = case.submitter().submit(SHARD)
    case.memory.values.clear()
    assert case.submitter().submit(SHARD) == first
    assert case.billed == ["batch_1"]


def test_a_lost_answer_is_looked_up_at_the_provider(case: Case) -> None:
    case.world.lose_answer()
    job = case.submitter().submit(SHARD)
    assert (job.provider_job_id, job.task_id, case.billed) == ("batch_1", None, ["batch_1"])
    assert case.submitter().submit(SHARD) == job
    assert len(case.world.submissions) == 1


def test_a_lost_answer_is_looked_for_until_the_provider_shows_the_job(case: Case) -> None:
    case.world.fail(OutcomeUnknown("no answer"))
    case.clock.at_sleep = [lambda: None, lambda: None, lambda: case.world.new_job("file-1")]
    job = case.submitter().submit(SHARD)
    assert (job.provider_job_id, case.clock.slept) == ("batch_1", [15.0, 15.0, 15.0])
    assert len(case.world.submissions) == 1


def test_a_process_that_stood_still_before_its_request_looks_no_shorter(case: Case) -> None:
    """As on a machine that slept: the note is old when the request goes out, and the job shows later still."""

    def stand_still() -> None:
        case.clock.time += 10 * SETTLE
        raise OutcomeUnknown("no answer")

    case.world.accidents.append(stand_still)
    case.clock.at_sleep = [lambda: None, lambda: case.world.new_job("file-1")]
    assert case.submitter().submit(SHARD).provider_job_id == "batch_1"
    assert len(case.world.submissions) == 1


def test_a_lost_answer_without_a_job_is_submitted_by_the_next_try_and_no_earlier(case: Case) -> None:
    case.world.fail(OutcomeUnknown("no answer"))
    with pytest.raises(Unavailable, match=r"shard 0: .*No job of file file-1 showed up; a retry submits it"):
        case.submitter().submit(SHARD)
    assert sum(case.clock.slept) == pytest.approx(SETTLE)
    assert (case.billed, len(case.world.submissions)) == ([], 1)
    job = case.submitter().submit(SHARD)
    assert (job.attempt, job.input_file_id, case.billed, len(case.world.files)) == (1, "file-1", ["batch_1"], 1)


def test_a_retry_waits_until_the_first_submission_must_have_ended(case: Case) -> None:
    """Killed in the middle of a submission that the cluster is still busy with; the job shows up 40 s later."""
    case.world.fail(Killed())
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    case.clock.time += 10
    case.clock.at_sleep = [lambda: None, lambda: case.world.new_job("file-1")]
    job = case.submitter().submit(SHARD)
    assert (job.provider_job_id, len(case.world.submissions)) == ("batch_1", 1)
    assert sum(case.clock.slept) == 30


def test_the_last_look_for_a_lost_job_is_at_the_end_of_the_patience(case: Case) -> None:
    case.world.fail(OutcomeUnknown("HTTP 500: Read timed out."))
    with pytest.raises(Unavailable):
        case.submitter(settle_seconds=30.5).submit(SHARD)
    assert case.clock.slept == [15.0, 15.0, 0.5]


def test_an_answer_with_its_job_needs_no_list(case: Case) -> None:
    case.world.lists_lag = case.world.search_is_down = True
    assert case.submitter().submit(SHARD).provider_job_id == "batch_1"


def test_a_retry_long_after_does_not_wait(case: Case) -> None:
    case.world.fail(Killed())
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    case.clock.time += SETTLE + 1
    case.submitter().submit(SHARD)
    assert (case.clock.slept, case.billed) == ([], ["batch_1"])


@pytest.mark.parametrize("error", [Refused("no"), Throttled("later", retry_after_seconds=7), Unavailable("down")])
def test_a_refusal_is_passed_on_and_the_next_try_submits_the_same_file_at_once(
    case: Case, error: Refused | Throttled | Unavailable
) -> None:
    case.world.fail(error)
    with pytest.raises(type(error)) as caught:
        case.submitter().submit(SHARD)
    assert caught.value is error
    job = case.submitter().submit(SHARD)
    assert (job.input_file_id, job.attempt, case.clock.slept, len(case.world.files)) == ("file-1", 1, [], 1)


def test_an_answer_without_its_job_is_looked_for_at_once(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """ML Commons before 2.18."""
    caplog.set_level("INFO")
    case.world.job_in_answer = False
    job = case.submitter().submit(SHARD)
    assert (job.provider_job_id, job.task_id, case.billed) == ("batch_1", "task-1", ["batch_1"])
    assert "shard 0: found: shard 0, job batch_1 (task task-1), nothing sent again" in caplog.text


def test_at_a_task_limit_whose_jobs_run_the_submission_waits_and_tells_what_is_counted(case: Case) -> None:
    """The one counted task's job is running."""
    case.world.new_task(case.world.new_job("file-of-others"))
    case.world.fail(TaskLimit("HTTP 429: too many.", status=429, retry_after_seconds=300))
    with pytest.raises(
        MustWait, match=r"shard 0 waits for room: HTTP 429: too many\. Counted tasks: 1\. None of their jobs"
    ) as caught:
        case.submitter().submit(SHARD)
    assert (caught.value.wanted.not_before, caught.value.wanted.awaits) == (1000 + TRY_AGAIN_SECONDS, "room")
    assert len(case.world.submissions) == 1


def test_a_task_limit_of_jobs_whose_end_the_cluster_cannot_see_is_passed_on_for_a_person_to_lift(case: Case) -> None:
    """Before 2.19 `failed` leaves a task RUNNING."""
    case.world.new_task(case.world.new_job("file-of-others", "failed"))
    case.world.fail(TaskLimit("HTTP 429: too many.", status=429, retry_after_seconds=300))
    with pytest.raises(TaskLimit, match=r"shard 0: HTTP 429: too many\. Counted tasks: 1\. Ended at the pro") as caught:
        case.submitter().submit(SHARD)
    assert (caught.value.retry_after_seconds, len(case.world.submissions)) == (300, 1)


SECOND = replace(SHARD, index=1, uri="mem://1", sha256="sha-1")


def test_once_there_is_no_room_nothing_more_of_the_bundle_is_uploaded_or_sent(case: Case) -> None:
    case.world.fail(NoRoom("HTTP 400: quota of jobs"))
    submitter = case.submitter()
    with pytest.raises(MustWait, match="shard 0 waits for room: HTTP 400: quota of jobs"):
        submitter.submit(SHARD)
    with pytest.raises(MustWait, match="shard 1 waits for room: another submission of its bundle found none"):
        submitter.submit(SECOND)
    assert (len(case.world.submissions), len(case.world.files)) == (1, 1)
    jobs = [case.submitter().submit(shard) for shard in (SHARD, SECOND)]
    assert [job.provider_job_id for job in jobs] == case.billed == ["batch_1", "batch_2"]
    assert (case.clock.slept, len(case.world.files)) == ([], 2), "the refused submission is tried again at once"


def test_without_room_a_job_whose_answer_was_lost_is_found_all_the_same(case: Case) -> None:
    case.world.kill_after_submit()
    with pytest.raises(Killed):
        case.submitter().submit(SECOND)
    case.world.fail(NoRoom("HTTP 400: quota of jobs"))
    submitter = case.submitter()
    with pytest.raises(MustWait):
        submitter.submit(SHARD)
    assert submitter.submit(SECOND).provider_job_id == "batch_1"
    assert (case.billed, len(case.world.submissions)) == (["batch_1"], 2)


def test_a_job_that_was_made_though_its_submission_found_no_room_is_found_and_not_sent_again(case: Case) -> None:
    """As where something between has sent the request a second time."""
    case.world.lose_answer(NoRoom("HTTP 400: quota of jobs"))
    with pytest.raises(MustWait):
        case.submitter().submit(SHARD)
    assert case.submitter().submit(SHARD).provider_job_id == "batch_1"
    assert (case.billed, len(case.world.submissions)) == (["batch_1"], 1)


def test_a_task_limit_is_lifted_by_looking_at_a_task_whose_job_has_ended(case: Case) -> None:
    case.world.new_task(case.world.new_job("file-of-others", "completed", output_file_id="file-o"))
    case.world.fail(TaskLimit("HTTP 429: too many."))
    job = case.submitter().submit(SHARD)
    assert (job.provider_job_id, case.world.looked_at, len(case.world.submissions)) == ("batch_2", ["task-1"], 2)


def test_a_task_limit_that_stays_ends_the_try_after_one_repetition(case: Case) -> None:
    case.world.new_task(case.world.new_job("file-of-others", "completed", output_file_id="file-o"))
    for _ in range(3):
        case.world.fail(TaskLimit("HTTP 429: too many."))
    with pytest.raises(MustWait, match="shard 0 waits for room: HTTP 429: too many"):
        case.submitter().submit(SHARD)
    assert len(case.world.submissions) == 2


def end(case: Case, number: int, status: str, **more: Any) -> None:
    case.world.jobs[number - 1].update(status=status, **more)


ALL_REFUSED = {"error_file_id": "file-e", "request_counts": {"total": 10, "completed": 0, "failed": 10}}


@pytest.mark.parametrize(
    ("status", "files"), [("failed", {}), ("expired", {}), ("cancelled", {}), ("completed", ALL_REFUSED)]
)
def test_a_job_that_ended_with_nothing_to_fetch_makes_way_for_attempt_2(
    case: Case, status: str, files: dict[str, Any]
) -> None:
    case.submitter().submit(SHARD)
    end(case, 1, status, **files)
    job = case.submitter().submit(SHARD)
    assert (job.attempt, job.provider_job_id, job.input_file_id) == (2, "batch_2", "file-2")
    assert case.names() == [file_name(KEY, 1), file_name(KEY, 2)]
    assert case.submitter().submit(SHARD) == job
    assert case.billed == ["batch_1", "batch_2"]


@pytest.mark.parametrize(
    ("status", "outputs"),
    [
        ("completed", {"output_file_id": "file-o"}),
        ("expired", {"output_file_id": "file-o", "error_file_id": "file-e"}),
        ("cancelled", {"output_file_id": "file-o"}),
        ("finalizing", {}),
        ("cancelling", {}),
    ],
)
def test_a_job_with_something_to_fetch_or_still_under_way_is_kept(
    case: Case, status: str, outputs: dict[str, str]
) -> None:
    first = case.submitter().submit(SHARD)
    end(case, 1, status, **outputs)
    assert case.submitter().submit(SHARD) == first
    case.memory.values.clear()
    assert case.submitter().submit(SHARD).provider_job_id == "batch_1"
    assert case.billed == ["batch_1"]


@pytest.mark.parametrize("noted", [True, False])
def test_a_spent_job_whose_rows_a_repair_round_has_makes_no_way(case: Case, noted: bool) -> None:
    first = case.submitter().submit(SHARD)
    case.world.jobs[0]["status"] = "expired"
    if not noted:
        case.memory.values.clear()
    asked: list[str] = []
    again = case.submitter(is_there=lambda uri: not asked.append(uri)).submit(SHARD)  # type: ignore[func-returns-value]
    assert (again, case.billed) == (first, ["batch_1"])
    assert asked == [SHARD.handed_on_uri(KEY)]


def test_a_noted_job_is_that_of_the_shard_where_it_lies_now(case: Case) -> None:
    case.submitter().submit(SHARD)
    moved = replace(SHARD, index=7, uri="mem://7")
    again = case.submitter().submit(moved)
    assert (again.shard, case.billed) == (moved, ["batch_1"])


def test_a_spent_job_found_without_memory_makes_way_too(case: Case) -> None:
    case.submitter().submit(SHARD)
    end(case, 1, "failed")
    case.memory.values.clear()
    job = case.submitter().submit(SHARD)
    assert (job.attempt, job.provider_job_id) == (2, "batch_2")


def test_the_highest_attempt_counts(case: Case) -> None:
    for attempt in (1, 3, 2):
        file_id = case.world.upload(SHARD, file_name(KEY, attempt))
        case.world.new_task(case.world.new_job(file_id, "failed" if attempt < 3 else "in_progress"))
    job = case.submitter().submit(SHARD)
    assert (job.attempt, job.input_file_id, job.provider_job_id) == (3, "file-2", "batch_2")
    assert len(case.billed) == 3


def test_attempt_ten_is_higher_than_attempt_nine(case: Case) -> None:
    for attempt in (9, 10):
        case.world.new_task(case.world.new_job(case.world.upload(SHARD, file_name(KEY, attempt)), "failed"))
    assert case.submitter().submit(SHARD).attempt == 11


def test_killed_between_the_upload_and_the_submission_of_attempt_2(case: Case) -> None:
    case.submitter().submit(SHARD)
    end(case, 1, "failed")
    case.memory.kill_at_set = 1
    with pytest.raises(Killed):
        case.submitter().submit(SHARD)
    job = case.submitter().submit(SHARD)
    assert (job.attempt, job.input_file_id, case.billed) == (2, "file-2", ["batch_1", "batch_2"])
    assert len(case.world.files) == 2


def test_a_lost_answer_of_attempt_2_is_found(case: Case) -> None:
    case.submitter().submit(SHARD)
    end(case, 1, "failed")
    case.world.lose_answer()
    job = case.submitter().submit(SHARD)
    assert (job.attempt, job.provider_job_id, job.task_id) == (2, "batch_2", None)
    assert case.billed == ["batch_1", "batch_2"]


def test_of_several_jobs_of_a_file_one_that_can_be_used_counts(case: Case) -> None:
    file_id = case.world.upload(SHARD, file_name(KEY, 1))
    for status in ("failed", "in_progress", "failed"):
        case.world.new_task(case.world.new_job(file_id, status))
    assert case.submitter().submit(SHARD).provider_job_id == "batch_2"
    assert len(case.billed) == 3


def test_a_spent_task_does_not_hide_a_live_job_that_only_the_provider_has(case: Case) -> None:
    file_id = case.world.upload(SHARD, file_name(KEY, 1))
    case.world.new_task(case.world.new_job(file_id, "failed"))
    case.world.new_job(file_id, "in_progress")
    job = case.submitter().submit(SHARD)
    assert (job.provider_job_id, job.task_id) == ("batch_2", None)
    assert len(case.billed) == 2


def test_a_stale_task_document_does_not_hide_that_the_job_failed(case: Case) -> None:
    """The cluster's document still says validating; the provider says failed."""
    file_id = case.world.upload(SHARD, file_name(KEY, 1))
    job = case.world.new_job(file_id)
    case.world.tasks["task-1"] = dict(job)
    job.update(status="failed")
    assert case.submitter().submit(SHARD).attempt == 2


def test_changed_content_and_another_run_are_other_keys(case: Case) -> None:
    changed = replace(SHARD, sha256="sha-1")
    keys = {
        case.submitter().submit(SHARD).key,
        case.submitter().submit(changed).key,
        case.submitter(run="dag|run-2|task").submit(SHARD).key,
    }
    assert (len(keys), len(case.billed)) == (3, 3)
    moved = replace(SHARD, index=5, uri="mem://elsewhere")
    assert case.submitter().submit(moved).provider_job_id == "batch_1"


def test_the_key_shows_nothing_of_the_run(case: Case) -> None:
    assert KEY.startswith("batch-")
    assert not any(part in KEY for part in ("dag", "run", "task"))


def test_an_unknown_status_of_a_found_job_is_raised_and_nothing_is_sent(case: Case) -> None:
    file_id = case.world.upload(SHARD, file_name(KEY, 1))
    case.world.new_job(file_id, "paused")
    with pytest.raises(UnknownAnswer, match="'paused' is not known"):
        case.submitter().submit(SHARD)
    assert case.world.submissions == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"connection_timeout": 30, "read_timeout": 60}, 90 + REPEAT_SECONDS + LIST_LAG_SECONDS),
        ({"connection_timeout": "30", "read_timeout": "60"}, 90 + REPEAT_SECONDS + LIST_LAG_SECONDS),
        ({"read_timeout": 60}, LONG_SETTLE_SECONDS),
        ({}, LONG_SETTLE_SECONDS),
        (None, LONG_SETTLE_SECONDS),
    ],
)
def test_the_patience_comes_from_the_connectors_own_timeouts(
    case: Case, config: dict[str, Any] | None, expected: float
) -> None:
    case.world.client_config = config
    case.world.fail(OutcomeUnknown("no answer"))
    with pytest.raises(Unavailable):
        case.submitter(settle_seconds=None).submit(SHARD)
    assert sum(case.clock.slept) == pytest.approx(expected)


RAW = {"input_file_id": "file-raw", "model": "m"}


def test_raw_parameters_are_sent_as_they_are_and_once(case: Case) -> None:
    first = case.submitter(parameters=RAW).submit_parameters()
    assert case.world.submissions == [RAW]
    assert (first.input_file_id, first.shard, first.provider_job_id) == ("file-raw", None, "batch_1")
    assert case.submitter(parameters=RAW).submit_parameters() == first
    assert case.billed == ["batch_1"]


def test_raw_parameters_whose_file_has_no_known_size_count_as_no_tokens(case: Case) -> None:
    admission = Admission(Limits(jobs=1), lambda: [LiveJob("batch_9", "file-9", 10)])
    with pytest.raises(MustWait) as waits:
        case.submitter(parameters={"input_file_id": "file-raw"}, admission=admission).submit_parameters()
    assert (waits.value.wanted.tokens, waits.value.wanted.file_id) == (0, "file-raw")
    assert case.billed == []


def test_raw_parameters_without_a_file_are_refused(case: Case) -> None:
    with pytest.raises(SpecError, match="name an input file"):
        case.submitter(parameters={"model": "m"}).submit_parameters()


def test_jobs_that_a_raw_file_had_before_are_not_taken_for_ours(case: Case) -> None:
    case.world.new_task(case.world.new_job("file-raw", "completed", output_file_id="file-o"))
    case.world.lose_answer()
    job = case.submitter(parameters=RAW).submit_parameters()
    assert (job.provider_job_id, job.task_id, len(case.billed)) == ("batch_2", None, 2)


@pytest.mark.parametrize("earlier", [0, 1], ids=["a fresh file", "a file used before"])
def test_a_raw_submission_killed_before_its_note_is_found_and_not_paid_twice(case: Case, earlier: int) -> None:
    for _ in range(earlier):
        case.world.new_job("file-raw", "completed", output_file_id="file-o")
    case.world.kill_after_submit()
    with pytest.raises(Killed):
        case.submitter(parameters=RAW).submit_parameters()
    job = case.submitter(parameters=RAW).submit_parameters()
    assert job.provider_job_id == f"batch_{earlier + 1}"
    assert len(case.billed) == earlier + 1


def test_a_raw_job_that_failed_makes_way_for_a_new_attempt(case: Case) -> None:
    case.submitter(parameters=RAW).submit_parameters()
    end(case, 1, "failed")
    job = case.submitter(parameters=RAW).submit_parameters()
    assert (job.provider_job_id, job.attempt) == ("batch_2", 2)
