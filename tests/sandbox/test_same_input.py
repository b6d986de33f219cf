"""Two runs over the same data, and the deliberate word for a second payment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from opensearch_batch import clean_provider
from opensearch_batch.errors import Unavailable
from opensearch_batch.submit import claims
from opensearch_batch.submit.admission import TRY_AGAIN_SECONDS
from tests.patience import until
from tests.sandbox.bench import Run, Server, rows_of, sensor
from tests.sandbox.test_admission import waiting

ROWS = rows_of(5)

NewRun = Callable[..., Run]


@pytest.fixture
def new_run(tmp_path: Path) -> NewRun:
    """Runs of one DAG, which share work_uri and output."""

    def made(name: str, **conf: Any) -> Run:
        run = Run(tmp_path, f"manual__{name}")
        run.conf = conf
        return run

    return made


def spec_of(run: Run, rows: Iterable[dict[str, Any]] = ROWS, **more: Any) -> dict[str, Any]:
    return {
        "name": "by_hand",
        "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}, **more.pop("model", {})},
        "input": {"uri": run.write(rows)},
        "output": {"uri": f"file://{run.out}"},
        "work_uri": f"file://{run.folder}/work",
        "limits": {"max_requests": 3, "same_input": "refuse", **more},
    }


def prepared(run: Run, spec: dict[str, Any]) -> Any:
    given = {"model": None, "model_parameters": None, "work_uri": None, "input_uri": None}
    return run.prepare(spec["input"]["uri"], spec=spec, **given)


def submitted(run: Run, model_id: str, **more: Any) -> list[str]:
    spec = spec_of(run, **more)
    return ids(run.submit(model_id, prepared(run, spec), spec=spec))


@contextmanager
def tried_again(why: str, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The submission within waits deferred, to be tried again in five minutes, and its log says why."""
    caplog.set_level("INFO")
    with pytest.raises(TaskDeferred) as stop:
        yield
    assert stop.value.trigger.wanted["not_before"] == pytest.approx(time.time() + TRY_AGAIN_SECONDS, abs=60)
    assert f"waits for another run's job: {why}. Deferred: no worker and no pool slot is held" in caplog.text


def ids(jobs: Any) -> list[str]:
    return [job["provider_job_id"] for job in jobs]


def test_by_default_two_runs_over_the_same_data_pay_twice(server: Server, model_id: str, new_run: NewRun) -> None:
    first, second = (submitted(new_run(name), model_id, same_input="allow") for name in "ab")
    assert len(server.ledger) == 4
    assert not {*first} & {*second}


@pytest.mark.parametrize("pace", ["instant", "polls:1000"])
def test_a_second_run_over_the_same_data_is_refused(server: Server, model_id: str, new_run: NewRun, pace: str) -> None:
    server.pace(pace)
    jobs = submitted(new_run("a"), model_id)
    second = new_run("b")
    with pytest.raises(AirflowFailException) as refused:
        submitted(second, model_id)
    assert "PaidBefore: 2 of 2 shards hold rows that another run has sent" in str(refused.value)
    assert f"the run by_hand/manual__a: job {jobs[0]} (" in str(refused.value)
    assert '{"force_resubmit": true}' in str(refused.value)
    assert (len(server.ledger), len(server.uploads())) == (2, 2)
    assert len(list(second.folder.glob("work/*/prepare/shard-*.jsonl"))) == 2, "those of the first run alone"


def test_a_clear_of_the_first_run_is_not_refused(server: Server, model_id: str, new_run: NewRun) -> None:
    run = new_run("a")
    jobs = submitted(run, model_id)
    assert submitted(run, model_id) == jobs
    run.states.clear()
    assert submitted(run, model_id) == jobs
    assert len(server.ledger) == 2


def test_runs_that_have_both_paid_find_their_own_jobs(server: Server, model_id: str, new_run: NewRun) -> None:
    """The spec refuses since then. What a run has paid for is not sent again, whoever else has paid."""
    runs = [new_run(name) for name in "ab"]
    jobs = [submitted(run, model_id, same_input="allow") for run in runs]
    assert [submitted(run, model_id) for run in runs] == jobs
    assert len(server.ledger) == 4


def test_with_the_deliberate_word_the_same_data_is_paid_again(server: Server, model_id: str, new_run: NewRun) -> None:
    jobs = submitted(new_run("a"), model_id)
    run = new_run("b", force_resubmit=True)
    again = submitted(run, model_id)
    assert not {*jobs} & {*again}
    assert submitted(run, model_id) == again, "a clear pays no third time"
    assert len(server.ledger) == 4


def test_other_rows_and_other_parameters_are_not_the_same(server: Server, model_id: str, new_run: NewRun) -> None:
    submitted(new_run("a"), model_id)
    submitted(new_run("b"), model_id, rows=[{"id": row["id"], "text": row["text"] + "!"} for row in ROWS])
    submitted(new_run("c"), model_id, model={"parameters": {"dimensions": 16}})
    assert len(server.ledger) == 6


def test_a_job_that_ended_without_an_answer_is_no_payment(server: Server, model_id: str, new_run: NewRun) -> None:
    server.fault("fail_batch", code="model_not_found", times=2)
    first = new_run("a")
    first.wait(first.submit(model_id, prepared(first, spec := spec_of(first)), spec=spec))
    assert {job["status"] for job in server.ledger} == {"failed"}
    submitted(new_run("b"), model_id)
    assert ([job["status"] for job in server.ledger].count("failed"), len(server.ledger)) == (2, 4)


def test_what_has_landed_and_was_cleaned_up_is_still_paid(server: Server, model_id: str, new_run: NewRun) -> None:
    first = new_run("a")
    spec = spec_of(first)
    jobs = first.submit(model_id, prepared(first, spec), spec=spec)
    first.fetch(first.wait_out(sensor(jobs)))
    assert clean_provider.main([f"file://{first.out}/manifest.json", "--keep-days", "0"]) == 0
    assert server.uploads() == []
    with pytest.raises(AirflowFailException, match="PaidBefore"):
        submitted(new_run("b"), model_id)
    assert len(server.ledger) == 2


def test_of_two_runs_prepared_at_once_the_later_submit_is_refused(
    server: Server, model_id: str, new_run: NewRun
) -> None:
    runs = [new_run(name) for name in "ab"]
    specs = [spec_of(run) for run in runs]
    bundles = [prepared(run, spec) for run, spec in zip(runs, specs, strict=True)]
    runs[0].submit(model_id, bundles[0], spec=specs[0])
    with pytest.raises(
        AirflowFailException, match=r"shard 0 was not sent: the run by_hand/manual__a has sent the same rows"
    ):
        runs[1].submit(model_id, bundles[1], spec=specs[1])
    assert len(server.ledger) == 2


def test_an_earlier_claim_without_a_job_is_waited_for_and_goes_first(
    server: Server, model_id: str, new_run: NewRun, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [new_run(name) for name in "ab"]
    specs = [spec_of(run) for run in runs]
    bundles = [prepared(run, spec) for run, spec in zip(runs, specs, strict=True)]
    server.fault("answer", path="_batch_predict", status=503, body="busy", times=2)
    with pytest.raises(Unavailable, match="a retry submits it"):
        runs[0].submit(model_id, bundles[0], spec=specs[0])
    with tried_again("the run by_hand/manual__a may be sending the same rows at this moment", caplog):
        runs[1].submit(model_id, bundles[1], spec=specs[1])
    assert server.ledger == []
    runs[0].submit(model_id, bundles[0], spec=specs[0])
    assert len(server.ledger) == 2


def test_at_a_first_look_no_claim_goes_first(
    server: Server, model_id: str, new_run: NewRun, caplog: pytest.LogCaptureFixture
) -> None:
    """A claim may have been read before this one could be: whoever has the earlier one goes on at the next look."""
    runs = [new_run(name) for name in "ab"]
    specs = [spec_of(run) for run in runs]
    bundles = [prepared(run, spec) for run, spec in zip(runs, specs, strict=True)]
    server.fault("answer", path="_batch_predict", status=503, body="busy", times=2)
    with pytest.raises(Unavailable):
        runs[0].submit(model_id, bundles[0], spec=specs[0])
    for claim in runs[0].folder.glob("work/jobs/*/*.json"):
        later = time.time() + 60
        claim.write_text(json.dumps(json.loads(claim.read_text()) | {"first_at": later, "noted_at": later}))
    with tried_again("the run by_hand/manual__a may be sending the same rows at this moment", caplog):
        runs[1].submit(model_id, bundles[1], spec=specs[1])
    assert server.ledger == []
    jobs = runs[1].submit(model_id, bundles[1], spec=specs[1])
    assert {job["id"] for job in server.ledger} == {*ids(jobs)}


def test_the_next_try_after_a_claim_that_failed_waits_for_no_job(
    server: Server, model_id: str, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run("a")
    spec = spec_of(run)
    bundles = prepared(run, spec)
    with monkeypatch.context() as patched:
        patched.setattr(claims, "write_object", unavailable)
        with pytest.raises(Unavailable, match="no storage"):
            run.submit(model_id, bundles, spec=spec)
    assert (len(server.uploads()), server.ledger) == (2, [])
    run.submit(model_id, bundles, spec=spec, settle_seconds=3600)
    assert (len(server.uploads()), len(server.ledger)) == (2, 2)


def unavailable(*given: Any) -> None:
    raise Unavailable("no storage")


def test_a_job_that_was_turned_away_goes_on_only_where_nobody_has_paid_meanwhile(
    server: Server, model_id: str, new_run: NewRun
) -> None:
    server.fault("fail_batch", code="token_limit_exceeded")
    first = new_run("a")
    spec = spec_of(first, ROWS[:3])
    turned_away = first.submit(model_id, prepared(first, spec), spec=spec)
    until(lambda: {job["status"] for job in server.ledger}, lambda found: found == {"failed"})
    submitted(new_run("b"), model_id, rows=ROWS[:3])
    until(lambda: server.ledger[-1]["status"], lambda found: found == "completed")
    outcomes, _ = waiting(first, turned_away, spec=spec)
    assert ([each["state"] for each in outcomes], len(server.ledger)) == (["failed"], 2)


def test_a_claim_of_long_ago_without_a_job_holds_nobody(server: Server, model_id: str, new_run: NewRun) -> None:
    run = new_run("a")
    spec = spec_of(run)
    bundles = prepared(run, spec)
    server.fault("answer", path="_batch_predict", status=503, body="busy", times=2)
    with pytest.raises(Unavailable):
        run.submit(model_id, bundles, spec=spec)
    for claim in run.folder.glob("work/jobs/*/*.json"):
        claim.write_text(json.dumps(json.loads(claim.read_text()) | {"first_at": 1.0, "noted_at": 1.0}))
    later = submitted(new_run("b"), model_id)
    with pytest.raises(
        AirflowFailException, match="PaidBefore: .*shard 0 was not sent: the run by_hand/manual__b has sent"
    ):
        run.submit(model_id, bundles, spec=spec)
    assert {job["id"] for job in server.ledger} == {*later}


def test_a_word_in_the_conf_of_a_cleared_run_pays_once_more(server: Server, model_id: str, new_run: NewRun) -> None:
    """As a backfill with reprocessing gives a run a new conf."""
    run = new_run("a")
    first = submitted(run, model_id)
    run.conf = {"force_resubmit": "answers were cut"}
    again = submitted(run, model_id)
    assert not {*first} & {*again}
    run.states.clear()
    assert submitted(run, model_id) == again
    assert len(server.ledger) == 4
    run.conf = {}
    assert submitted(run, model_id) == first, "without the word it is the first payment that counts"
    assert len(server.ledger) == 4


@pytest.mark.parametrize("word", ["false", 1, {"yes": True}])
def test_a_word_that_may_mean_no_is_refused(server: Server, model_id: str, new_run: NewRun, word: Any) -> None:
    with pytest.raises(AirflowFailException, match="force_resubmit is .*; say true, or a text"):
        submitted(new_run("a", force_resubmit=word), model_id)
    assert server.ledger == []
