"""limits.same_input: share: a second run over the same data takes the first run's jobs, and pays for nothing."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from opensearch_batch import clean_provider
from opensearch_batch.errors import Unavailable
from opensearch_batch.operators import CancelBatchOperator, ReportOperator, SubmitBatchOperator
from opensearch_batch.submit.shares import HOLD_SECONDS
from opensearch_batch.tasks.stored_trigger import VERSION as VERSION_OF_EVENTS
from tests.patience import until
from tests.sandbox.bench import Run, Server, rows_of, sensor, submit_settings
from tests.sandbox.test_admission import waiting
from tests.sandbox.test_orphans import VERSION, look, open_jobs
from tests.sandbox.test_promises import Killed
from tests.sandbox.test_same_input import NewRun, ids, new_run, prepared, spec_of, tried_again
from tests.unit.test_orphans import Airflow

__all__ = ["new_run"]

ROWS = rows_of(5)
SHARE: dict[str, Any] = {"same_input": "share"}


def submitted(run: Run, model_id: str, **more: Any) -> Any:
    spec = spec_of(run, **SHARE | more)
    return run.submit(model_id, prepared(run, spec), spec=spec)


def reported(run: Run, model_id: str, **more: Any) -> dict[str, Any]:
    """The report of a whole run."""
    spec = spec_of(run, **SHARE | more)
    outcomes = run.wait(run.submit(model_id, prepared(run, spec), spec=spec), spec=spec)
    fetched = run.fetch(outcomes, final=False, spec=spec)
    report: dict[str, Any] = run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=[fetched]))
    return report


def cancelled(server: Server) -> list[str]:
    return [job["id"] for job in server.ledger if job["status"] in ("cancelling", "cancelled")]


def test_the_second_run_lands_the_first_ones_answers_and_pays_nothing(
    server: Server, model_id: str, new_run: NewRun
) -> None:
    first, second = new_run("a"), new_run("b")
    paid, shared = reported(first, model_id, same_input="allow"), reported(second, model_id)
    assert (len(server.ledger), len(server.uploads())) == (2, 2)
    assert second.landed("results") == first.landed("results")
    assert (shared["answered"], shared["actual_tokens"], shared["actual_usd"]) == (5, 0, 0.0)
    assert paid["actual_usd"] > 0
    assert [job["shared_with"] for job in shared["jobs"]] == ["by_hand/manual__a"] * 2
    assert all("shared_with" not in job for job in paid["jobs"])


def test_the_report_says_whose_jobs_they_are(
    server: Server, model_id: str, new_run: NewRun, caplog: pytest.LogCaptureFixture
) -> None:
    submitted(new_run("a"), model_id)
    caplog.set_level("INFO")
    reported(new_run("b"), model_id)
    assert "2 jobs (2 shared with by_hand/manual__a, paid there), 0 tokens, $0.0000" in caplog.text


def test_a_retry_and_a_clear_of_the_second_run_find_the_same_jobs(
    server: Server, model_id: str, new_run: NewRun
) -> None:
    server.pace("polls:1000")
    first, second = new_run("a"), new_run("b")
    jobs = submitted(first, model_id)
    taken = submitted(second, model_id)
    assert ids(taken) == ids(jobs)
    assert submitted(second, model_id) == taken
    second.states.clear()
    assert submitted(second, model_id) == taken
    assert submitted(first, model_id) == jobs, "the owner's stay the owner's"
    assert len(server.ledger) == 2


def test_a_third_run_takes_the_owners_jobs_too(server: Server, model_id: str, new_run: NewRun) -> None:
    jobs, *others = (submitted(new_run(name), model_id) for name in "abc")
    for taken in others:
        assert ids(taken) == ids(jobs)
        assert {job["shared_with"] for job in taken} == {"by_hand/manual__a"}


def test_only_what_is_the_same_is_shared(server: Server, model_id: str, new_run: NewRun) -> None:
    submitted(new_run("a"), model_id, rows=ROWS[:3])
    jobs = submitted(new_run("b"), model_id)
    assert [job.get("shared_with") for job in jobs] == ["by_hand/manual__a", None]
    submitted(new_run("c"), model_id, model={"parameters": {"dimensions": 16}})
    assert len(server.ledger) == 4


def test_with_the_deliberate_word_nothing_is_shared(server: Server, model_id: str, new_run: NewRun) -> None:
    submitted(new_run("a"), model_id)
    jobs = submitted(new_run("b", force_resubmit=True), model_id)
    assert (len(server.ledger), [job.get("shared_with") for job in jobs]) == (4, [None, None])


def deferred(run: Run, jobs: Any, **settings: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as stop:
        run.execute(sensor(jobs, **settings))
    return stop.value


def test_ending_the_second_run_leaves_the_first_ones_job(server: Server, model_id: str, new_run: NewRun) -> None:
    server.pace("polls:1000")
    first, second = new_run("a"), new_run("b")
    jobs = submitted(first, model_id, rows=ROWS[:3])
    taken = submitted(second, model_id, rows=ROWS)
    trigger = Killed(**deferred(second, taken).trigger.serialize()[1])
    trigger.state = "failed"
    asyncio.run(trigger.on_kill())
    assert cancelled(server) == [ids(taken)[1]], "what is the second run's own is cancelled"
    second.execute(CancelBatchOperator(task_id="cancel", jobs=taken))
    with pytest.raises(
        AirflowSensorTimeout, match=r"they were cancelled where they still ran, but for the jobs of by_hand/manual__a"
    ):
        time_out(second, taken)
    assert ids(jobs)[0] not in cancelled(server)


def time_out(run: Run, jobs: Any) -> None:
    operator = sensor(jobs)
    operator.execute_complete(run.context(operator), {"version": VERSION_OF_EVENTS, "timed_out": True})


def both(server: Server, model_id: str, first: Run, second: Run) -> tuple[Any, Any]:
    """The jobs of both runs; they are cancelled before the first answer, as soon as the pace is `instant`."""
    server.fault("cancel", fraction=0, times=2)
    server.pace("polls:1000")
    return submitted(first, model_id), submitted(second, model_id)


def test_the_owners_cancel_ends_both_and_the_second_says_whose_act_it_was(
    server: Server, model_id: str, new_run: NewRun
) -> None:
    first, second = new_run("a"), new_run("b")
    jobs, taken = both(server, model_id, first, second)
    first.execute(CancelBatchOperator(task_id="cancel", jobs=jobs))
    server.pace("instant")
    with pytest.raises(AirflowFailException) as ended:
        second.wait(taken)
    assert "CancelledElsewhere: shard 0, job" in str(ended.value)
    assert "shared with the run by_hand/manual__a, and was cancelled there" in str(ended.value)
    own = submitted(second, model_id)
    assert (len(server.ledger), [job.get("shared_with") for job in own]) == (4, [None, None])
    assert submitted(second, model_id) == own


def test_after_the_owners_cancel_and_its_clear_the_second_takes_the_new_job(
    server: Server, model_id: str, new_run: NewRun
) -> None:
    first, second = new_run("a"), new_run("b")
    _, taken = both(server, model_id, first, second)
    server.pace("instant")
    again = submitted(first, model_id)
    later = submitted(second, model_id)
    assert ids(later) == ids(again) != ids(taken)
    assert [(job["attempt"], job["shared_with"]) for job in later] == [(2, "by_hand/manual__a")] * 2
    assert len(server.ledger) == 4


@pytest.mark.parametrize(("fraction", "sent"), [(0, 1), (0.5, 0)], ids=["without an answer", "with answers"])
def test_a_job_that_is_being_cancelled_is_not_taken_until_it_has_ended(
    server: Server, model_id: str, new_run: NewRun, caplog: pytest.LogCaptureFixture, fraction: float, sent: int
) -> None:
    """Half an hour and more, where vendors take so long: six tries of five minutes."""
    server.fault("cancel", fraction=fraction)
    server.pace("polls:1000")
    first, second = new_run("a"), new_run("b")
    rows = ROWS[:2]
    jobs = submitted(first, model_id, rows=rows)
    first.execute(CancelBatchOperator(task_id="cancel", jobs=jobs))
    spec = spec_of(second, rows, **SHARE)
    submit = SubmitBatchOperator(**submit_settings(model_id, prepared(second, spec)) | {"spec": spec})
    with tried_again(f"job {ids(jobs)[0]} of the run by_hand/manual__a is being cancelled", caplog):
        second.execute(submit)
    event = {"version": VERSION_OF_EVENTS, "carried": [], "since": time.time() - 1800.0}
    for _ in range(6):
        with pytest.raises(TaskDeferred):
            submit.turn_came(second.context(submit), event | {"fruitless_since": event["since"]})
    server.pace("instant")
    until(lambda: server.ledger[0]["status"], lambda status: status == "cancelled")
    (job,) = submit.turn_came(second.context(submit), event)
    assert (len(server.ledger), job["provider_job_id"] == ids(jobs)[0]) == (1 + sent, not sent)


def test_a_first_run_that_is_submitting_is_waited_for(
    server: Server, model_id: str, new_run: NewRun, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = new_run("a"), new_run("b")
    server.fault("answer", path="_batch_predict", status=503, body="busy", times=2)
    with pytest.raises(Unavailable, match="a retry submits it"):
        submitted(first, model_id)
    with tried_again("the run by_hand/manual__a may be sending the same rows at this moment", caplog):
        submitted(second, model_id)
    assert (server.ledger, len(server.uploads())) == ([], 2), "nothing of the second's"
    jobs = submitted(first, model_id)
    assert ids(submitted(second, model_id)) == ids(jobs)
    assert len(server.ledger) == 2


def test_a_claim_of_long_ago_without_a_job_holds_nobody(server: Server, model_id: str, new_run: NewRun) -> None:
    first, second = new_run("a"), new_run("b")
    server.fault("answer", path="_batch_predict", status=503, body="busy", times=2)
    with pytest.raises(Unavailable):
        submitted(first, model_id)
    for claim in first.folder.glob("work/jobs/*/*.json"):
        claim.write_text(json.dumps(json.loads(claim.read_text()) | {"first_at": 1.0, "noted_at": 1.0}))
    jobs = submitted(second, model_id)
    assert [job.get("shared_with") for job in jobs] == [None, None]
    assert ids(submitted(first, model_id)) == ids(jobs), "now the first is the one that shares"
    assert (len(server.ledger), len(server.uploads())) == (2, 2), "its uploads are gone"


def test_a_job_without_an_answer_is_not_taken(server: Server, model_id: str, new_run: NewRun) -> None:
    server.fault("fail_batch", code="model_not_found", times=2)
    first = new_run("a")
    first.wait(submitted(first, model_id))
    jobs = submitted(new_run("b"), model_id)
    assert [job.get("shared_with") for job in jobs] == [None, None]
    assert len(server.ledger) == 4


def test_a_shared_job_that_was_turned_away_goes_on_as_the_owners_new_one(
    server: Server, model_id: str, new_run: NewRun
) -> None:
    server.fault("fail_batch", code="token_limit_exceeded")
    server.pace("polls:1")
    first, second = new_run("a"), new_run("b")
    jobs = submitted(first, model_id, rows=ROWS[:3])
    taken = submitted(second, model_id, rows=ROWS[:3])
    assert ids(taken) == ids(jobs)
    spec = spec_of(second, ROWS[:3], **SHARE)
    of_first, _ = waiting(first, jobs, spec=spec)
    of_second, _ = waiting(second, taken, spec=spec)
    assert [each["state"] for each in of_first + of_second] == ["completed"] * 2
    assert of_second[0]["job"]["shared_with"] == "by_hand/manual__a"
    assert ids([each["job"] for each in of_second]) == ids([each["job"] for each in of_first]) != ids(jobs)
    assert len(server.ledger) == 2


def test_what_was_cleaned_up_cannot_be_shared_and_is_not_paid_again(
    server: Server, model_id: str, new_run: NewRun
) -> None:
    first = new_run("a")
    reported(first, model_id)
    clean(first)
    with pytest.raises(AirflowFailException, match="PaidBefore: .* by_hand/manual__a has paid for the same rows"):
        submitted(new_run("b"), model_id)
    assert len(server.ledger) == 2


def clean(run: Run, *more: str) -> None:
    (manifest,) = (
        path for path in run.out.glob("manifest-*.json") if json.loads(path.read_bytes())["run_id"] == run.run_id
    )
    assert clean_provider.main([f"file://{manifest}", "--keep-days", "0", *more]) == 0


def test_the_owners_clean_up_keeps_the_files_until_the_second_run_is_cleaned_up(
    server: Server, model_id: str, new_run: NewRun, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = new_run("a"), new_run("b")
    reported(first, model_id)
    taken = submitted(second, model_id)
    clean(first)
    assert len(server.uploads()) == 2
    assert f"kept the files of batch {ids(taken)[0]}: shared by by_hand/manual__b" in capsys.readouterr().out
    reported(second, model_id)
    clean(second, "--dry-run")
    clean(first)
    assert len(server.uploads()) == 2
    clean(second)
    assert "is the run by_hand/manual__a's: its clean-up deletes the files" in capsys.readouterr().out
    assert len(server.uploads()) == 2, "nothing that is another run's"
    clean(first)
    assert server.uploads() == []


def test_a_share_of_long_ago_holds_no_files(server: Server, model_id: str, new_run: NewRun) -> None:
    first, second = new_run("a"), new_run("b")
    reported(first, model_id)
    submitted(second, model_id)
    for share in first.folder.glob("work/jobs/*/*--*.json"):
        long_ago = time.time() - HOLD_SECONDS - 60
        share.write_text(json.dumps(json.loads(share.read_text()) | {"noted_at": long_ago}))
    clean(first)
    assert server.uploads() == []


def test_a_deleted_owners_job_is_no_orphan_while_another_run_shares_it(
    server: Server, model_id: str, new_run: NewRun, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pace("polls:1000")
    first, second = new_run("a"), new_run("b")
    jobs = {*ids(submitted(first, model_id))}
    submitted(second, model_id)
    assert look(first, Airflow({"by_hand/manual__b": "running"}, (VERSION,))) == 0
    assert open_jobs(server) == jobs
    assert "of the run by_hand/manual__a, which was deleted, and shared: of the run by_hand/manual__b (running)" in (
        capsys.readouterr().out
    )
    assert look(first, Airflow(versions=(VERSION,))) == 0
    assert open_jobs(server) == set()


def test_a_job_cancelled_half_way_lands_its_answers_and_names_its_run(
    server: Server, model_id: str, new_run: NewRun
) -> None:
    server.fault("cancel", fraction=0.5)
    server.pace("polls:4")
    first, second = new_run("a"), new_run("b")
    rows = ROWS[:2]
    submitted(first, model_id, rows=rows)
    (outcome,) = second.wait(submitted(second, model_id, rows=rows))
    assert outcome["state"] == "cancelled"
    fetched = second.fetch([outcome], max_failed_fraction=1.0)
    assert (fetched["report"]["answered"], fetched["report"]["failed"], len(server.ledger)) == (1, 1, 1)
    whose = "it is shared with the run by_hand/manual__a, and was cancelled there, or at the provider"
    assert outcome["error_message"] == whose
