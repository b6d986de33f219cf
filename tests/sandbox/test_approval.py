"""limits.ask_above_usd: what a run asks before it sends anything, and what becomes of it after the answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DownstreamTasksSkipped

from opensearch_batch.operators import PrepareInputOperator, ReportOperator, SubmitBatchOperator
from tests.sandbox.approving import answer, ask, operator
from tests.sandbox.bench import KEY, Run, Server, rows_of
from tests.sandbox.test_same_input import NewRun, new_run, prepared, spec_of

__all__ = ["new_run"]

ASKS: dict[str, Any] = {"ask_above_usd": 0, "same_input": "allow"}


@pytest.fixture
def asking(new_run: NewRun) -> Run:
    """A run of two shards, prepared, whose spec asks about any sum."""
    run = new_run("asking")
    prepared(run, spec_of(run, **ASKS))
    return run


def prepared_shards(run: Run) -> Any:
    return run.xcoms["prepare", "return_value"]


def submit(run: Run, model_id: str, shards: Any = None) -> Any:
    return run.submit(model_id, shards or prepared_shards(run), spec=spec_of(run, **ASKS))


def approval(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.xcoms["approve", "approval"]
    return found


def report(run: Run, landed: Any = ()) -> Any:
    summing = ReportOperator(
        task_id="report", planned_by="prepare", landed=landed, submitted_by=["submit"], approved_by="approve"
    )
    return run.execute(summing)


def test_a_run_above_the_limit_asks_with_three_sample_requests(asking: Run, server: Server) -> None:
    question = ask(asking)
    assert question.options == ["Approve", "Reject"]
    assert question.defaults == ["Reject"]
    assert question.waits == timedelta(hours=24)
    assert "by_hand: send 5 rows to text-embedding-3-small for about $" in question.subject
    assert "- **Rows:** 5 in 2 shards\n" in question.body
    assert f" at {asking.xcoms['prepare', 'plan']['price_origin']}\n" in question.body
    assert [n for n in range(5) if f"text number {n}" in question.body] == [0, 1, 2]
    assert question.assigned_users == []
    assert KEY not in question.model_dump_json()
    assert approval(asking)["answer"] == "waiting"
    assert (server.ledger, server.uploads(), server.found("connectors")) == ([], [], [])


def test_with_many_shards_the_sample_is_of_the_first_the_middle_and_the_last(new_run: NewRun) -> None:
    run = new_run("a")
    prepared(run, spec_of(run, rows_of(9), **ASKS | {"max_requests": 2}))
    body = ask(run).body
    assert [n for n in range(9) if f"text number {n}" in body] == [0, 4, 8]


def test_the_spec_says_who_may_answer_and_how_long(new_run: NewRun) -> None:
    run = new_run("a")
    prepared(run, spec_of(run, **ASKS, ask_timeout_hours=1.5, ask_users=["anna", "7"]))
    question = ask(run)
    assert question.waits == timedelta(hours=1.5)
    assert [user.id for user in question.assigned_users] == ["anna", "7"]


def test_a_key_in_a_row_is_not_shown(new_run: NewRun) -> None:
    run = new_run("a")
    prepared(run, spec_of(run, [{"id": "1", "text": f"my key is {KEY}"}], **ASKS))
    question = ask(run)
    assert "my key is ***" in question.body
    assert KEY not in question.model_dump_json()


def test_a_run_below_the_limit_is_not_asked(new_run: NewRun) -> None:
    run = new_run("a")
    prepared(run, spec_of(run, same_input="allow", ask_above_usd=1))
    assert ask(run) is None
    assert approval(run)["answer"] == "not_asked"
    unlimited = new_run("b")
    prepared(unlimited, spec_of(unlimited))
    assert ask(unlimited) is None


def test_an_unknown_price_is_asked_about_whatever_the_limit(new_run: NewRun) -> None:
    run = new_run("a")
    prepared(run, spec_of(run, **ASKS | {"ask_above_usd": 1e6}, model={"name": "a-model-of-ours"}))
    assert "**Price:** not known for `a-model-of-ours`" in ask(run).body
    assert approval(run)["estimated_usd"] is None


def test_an_approved_run_goes_on_and_its_report_says_who_said_yes(asking: Run, model_id: str) -> None:
    ask(asking)
    assert answer(asking, "Approve") == []
    landed = asking.fetch(asking.wait(submit(asking, model_id)), final=False)
    found = report(asking, [landed])
    assert (found["answered"], found["approval"]["answer"], found["approval"]["by"]) == (5, "approved", "Anna")
    assert asking.followed["report"]["approval"] == found["approval"]


@pytest.mark.parametrize(("user", "said"), [({"id": "7", "name": "Otto"}, "rejected"), (None, "no_answer")])
def test_a_rejected_run_is_a_success_that_wrote_nothing(asking: Run, server: Server, user: Any, said: str) -> None:
    ask(asking)
    assert answer(asking, "Reject", user) == ["next"]
    with pytest.raises(AirflowSkipException, match="nothing was sent, and nothing was written"):
        report(asking)
    found = asking.xcoms["report", "report"]
    assert (found["approval"]["answer"], found["not_sent"], found["answered"]) == (said, 5, 0)
    assert ("report", "summary") not in asking.xcoms
    assert (asking.files(), asking.events, server.ledger) == ([], {}, [])


def test_a_cleared_run_whose_rows_are_all_paid_for_is_not_asked_again(asking: Run, model_id: str) -> None:
    ask(asking)
    answer(asking, "Approve")
    submit(asking, model_id)
    assert ask(asking) is None
    assert (approval(asking)["answer"], approval(asking)["records"]) == ("not_asked", 0)


def test_a_cleared_run_is_asked_about_what_is_not_paid_for_yet(asking: Run, model_id: str) -> None:
    """As after a submission of which one half failed."""
    ask(asking)
    answer(asking, "Approve")
    submit(asking, model_id, prepared_shards(asking)[:1])
    question = ask(asking)
    assert "- **Rows:** 2 in 1 shard\n- **Paid already:** 3 rows of this run" in question.body
    assert [n for n in range(5) if f"text number {n}" in question.body] == [3, 4]
    answer(asking, "Reject")
    with pytest.raises(AirflowSkipException, match="nothing more was sent"):
        report(asking)


def test_a_job_that_ended_without_answers_is_not_paid_for(asking: Run, model_id: str, server: Server) -> None:
    ask(asking)
    answer(asking, "Approve")
    server.pace("polls:3")
    server.fault("fail_batch", code="model_not_found", times=2)
    jobs = submit(asking, model_id)
    assert ask(asking) is None, "jobs under way are paid for"
    asking.wait(jobs)
    assert [job["status"] for job in server.ledger] == ["failed"] * 2
    assert ask(asking) is not None
    assert approval(asking)["records"] == 5


@pytest.mark.parametrize("limits", [{}, {"same_input": "share"}])
def test_what_another_flow_of_the_run_has_paid_for_is_asked_about(
    run: Run, model_id: str, limits: dict[str, Any]
) -> None:
    spec = spec_of(run, **ASKS | limits)
    prepared(run, spec)
    run.submit(model_id, prepared_shards(run), spec=spec, task_id="other.submit")
    assert ask(run) is not None
    submit(run, model_id)
    assert ask(run) is None


def test_what_another_run_has_paid_for_is_asked_about_unless_it_is_shared(
    new_run: NewRun, model_id: str, server: Server
) -> None:
    first, second, third = (new_run(name) for name in "abc")
    prepared(first, spec_of(first, **ASKS))
    submit(first, model_id)
    prepared(second, spec_of(second, **ASKS))
    assert ask(second) is not None
    prepared(third, spec_of(third, **ASKS | {"same_input": "share"}))
    assert ask(third) is None


def test_a_word_for_a_second_payment_is_asked_about_once(asking: Run, model_id: str) -> None:
    submit(asking, model_id)
    asking.conf["force_resubmit"] = "the model was wrong"
    assert "- **Rows:** 5 in 2 shards\n" in ask(asking).body
    answer(asking, "Reject")
    assert ask(asking) is not None
    answer(asking, "Approve")
    submit(asking, model_id)
    assert ask(asking) is None


def test_a_dry_run_asks_nobody(new_run: NewRun) -> None:
    run = new_run("a")
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        prepare_before_approval(run, spec_of(run, **ASKS) | {"dry_run": True})
    assert "approve" in [str(task) for task in skipped.value.tasks]
    assert ask(run) is None


def test_where_all_vectors_are_those_of_earlier_runs_the_approval_lets_them_through(asking: Run) -> None:
    asking.xcoms["prepare", "plan"] |= {"records": 0, "shards": 0, "reused_rows": 5}
    asking.xcoms["prepare", "return_value"] = []
    assert ask(asking) is None


def test_an_answer_of_an_earlier_try_does_not_count_where_the_task_was_skipped(asking: Run, model_id: str) -> None:
    ask(asking)
    answer(asking, "Reject")
    asking.task_states["approve"] = "skipped"
    landed = asking.fetch(asking.wait(submit(asking, model_id)), final=False)
    assert "approval" not in report(asking, [landed])


def test_without_a_plan_the_error_says_where_to_look(run: Run) -> None:
    with pytest.raises(AirflowFailException, match="there is no plan: prepare did not succeed"):
        run.execute(operator())


def prepare_before_approval(run: Run, spec: dict[str, Any]) -> None:
    approve = operator()
    assert approve.dag is not None
    prepare = PrepareInputOperator(task_id="prepare", spec=spec, dag=approve.dag)
    submitting = SubmitBatchOperator(task_id="submit_batch", model_id="m", shards=[], dag=approve.dag)
    prepare >> approve >> submitting
    run.execute(prepare)
