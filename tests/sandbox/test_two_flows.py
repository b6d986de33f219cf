"""Two flows in one run of a DAG, with one output and one work folder: each has files of its own, and ends by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch import clean_results
from opensearch_batch.operators import PrepareInputOperator, ReportOperator
from opensearch_batch.results import open as open_results
from opensearch_batch.tasks import prepare
from tests.sandbox import late
from tests.sandbox.bench import Run, Server, rows_of
from tests.sandbox.late import asked_online, cut_off
from tests.sandbox.test_erase import SECRET, erase, provider_has, spec_of, with_person, written_before
from tests.sandbox.test_repair import Rounds


class Flow:
    """A flow in the task group `name`; the spec's name is another, too."""

    def __init__(self, run: Run, model_id: str, name: str, rows: list[dict[str, Any]]) -> None:
        self.run, self.model_id, self.name = run, model_id, name
        uri = run.write(rows, f"{name}.jsonl")
        self.spec = spec_of(run, uri, name="rows", output={"uri": f"file://{run.out}"})
        self.prepared_by = f"{name}.prepare_input"

    def prepare(self) -> Any:
        return self.run.execute(PrepareInputOperator(task_id=self.prepared_by, spec=self.spec, dag=self.run.dag))

    def land(self, shards: Any) -> Any:
        resolved = self.run.xcoms[self.prepared_by, "spec"]
        outcomes = self.run.wait(self.run.submit(self.model_id, shards, spec=resolved))
        return self.run.fetch(outcomes, task_id=f"{self.name}.fetch", spec=resolved, output_uri="", final=False)

    def report(self, landed: Any) -> dict[str, Any]:
        operator = ReportOperator(task_id=f"{self.name}.report", planned_by=self.prepared_by, landed=[landed])
        found: dict[str, Any] = self.run.execute(operator)
        return found

    def through(self) -> dict[str, Any]:
        return self.report(self.land(self.prepare()))


def ids_at(manifest: str) -> set[str]:
    return {row["id"] for row in open_results(manifest)}


@pytest.fixture
def cats(run: Run, model_id: str) -> Flow:
    return Flow(run, model_id, "cats", [{"id": f"cat-{n}", "text": f"cat number {n}"} for n in range(8)])


@pytest.fixture
def dogs(run: Run, model_id: str) -> Flow:
    return Flow(run, model_id, "dogs", [{"id": f"dog-{n}", "text": f"dog number {n}"} for n in range(5)])


def test_neither_takes_the_others_files_for_what_an_earlier_try_left(cats: Flow, dogs: Flow) -> None:
    first, second = cats.through(), dogs.through()
    assert ids_at(first["manifest"]) == {f"cat-{n}" for n in range(8)}
    assert ids_at(second["manifest"]) == {f"dog-{n}" for n in range(5)}


def test_readers_stay_with_the_flow_that_answered_more(
    cats: Flow, dogs: Flow, caplog: pytest.LogCaptureFixture
) -> None:
    """The smaller one is no later try of the larger."""
    cats.through()
    dogs.through()
    assert cats.run.followed["report"]["records"] == 8
    assert "this run answered 5 rows" in caplog.text


def test_a_clean_up_leaves_the_rows_of_the_other(
    run: Run, cats: Flow, dogs: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    smaller = dogs.through()["manifest"]
    written_before(Path(smaller.removeprefix("file://")), "2026-01-01T00:00:00+00:00")
    cats.through()
    assert clean_results.main([f"file://{run.out}", "--keep-days", "0"]) == 0
    assert ids_at(smaller) == {f"dog-{n}" for n in range(5)}
    told = capsys.readouterr().out
    assert f"left {smaller} and its files: of the DAG by_hand, dogs.prepare_input" in told
    assert "0 files removed" in told


def test_what_the_other_landed_is_no_earlier_try_of_a_flow_with_a_failed_task(run: Run, cats: Flow, dogs: Flow) -> None:
    cats.through()
    shards = dogs.prepare()
    landed = dogs.land(shards)
    operator = ReportOperator(task_id="dogs.report", planned_by=dogs.prepared_by, landed=[landed], dag=run.dag)
    operator.set_upstream(PrepareInputOperator(task_id="dogs.broken", spec=dogs.spec, dag=run.dag))
    run.task_states = {"dogs.broken": "failed"}
    assert ids_at(run.execute(operator)["manifest"]) == {f"dog-{n}" for n in range(5)}


def test_an_erasure_waits_for_the_flow_that_has_not_ended(
    run: Run, model_id: str, server: Server, tmp_path: Path, cats: Flow
) -> None:
    cats.through()
    late = Flow(run, model_id, "late", with_person())
    shards = late.prepare()
    with pytest.raises(AirflowFailException, match="not ended, and landing would bring these rows back"):
        erase(tmp_path, late.spec)
    late.report(late.land(shards))
    assert erase(tmp_path, late.spec, "again")["state"] == "erased"
    assert not provider_has(server, SECRET)


def by_hand(
    run: Run, model_id: str, table: str, rows: list[dict[str, Any]], **settings: Any
) -> tuple[dict[str, Any], Any]:
    """A spec, and the outcomes of its run, which a fetch by hand closes."""
    spec = spec_of(run, run.write(rows, f"{table}.jsonl"), output={"uri": f"file://{run.out}"}, **settings)
    shards = run.execute(PrepareInputOperator(task_id=f"prepare_{table}", spec=spec, dag=run.dag))
    return spec, run.wait(run.submit(model_id, shards, spec=run.xcoms[f"prepare_{table}", "spec"]))


def test_a_run_by_hand_has_ended_without_its_manifest_too(run: Run, model_id: str, tmp_path: Path) -> None:
    spec, outcomes = by_hand(run, model_id, "rows", with_person())
    run.fetch(outcomes)
    later = Run(tmp_path, "later")
    later.fetch(by_hand(later, model_id, "rows", with_person(30))[1])
    [first] = [
        path for path in run.out.glob("manifest-*.json") if json.loads(path.read_bytes())["run_id"] == run.run_id
    ]
    written_before(first, "2026-01-01T00:00:00+00:00")
    assert clean_results.main([f"file://{run.out}", "--keep-days", "0"]) == 0
    assert not first.exists()
    assert erase(tmp_path, spec)["state"] == "erased"


def test_a_fetch_by_hand_speaks_for_its_own_rows_alone(run: Run, model_id: str, tmp_path: Path) -> None:
    _, first = by_hand(run, model_id, "one", rows_of(3))
    spec, second = by_hand(run, model_id, "two", with_person())
    run.fetch(first, task_id="fetch_one")
    with pytest.raises(AirflowFailException, match="not ended, and landing would bring these rows back"):
        erase(tmp_path, spec)
    run.fetch(second, task_id="fetch_two")
    assert erase(tmp_path, spec, "again")["state"] == "erased"


def test_a_fetch_by_hand_of_some_shards_leaves_the_run_open(run: Run, model_id: str, tmp_path: Path) -> None:
    spec = spec_of(run, run.write(with_person()), output={"uri": f"file://{run.out}"}, limits={"max_requests": 20})
    [first], [second] = run.execute(PrepareInputOperator(task_id="prepare", spec=spec, dag=run.dag))
    run.fetch(run.wait(run.submit(model_id, [[first]])), task_id="fetch_some")
    notes = [json.loads(path.read_bytes()) for path in tmp_path.rglob("run.json")]
    assert [note["landed"] for note in notes] == [False]
    run.fetch(run.wait(run.submit(model_id, [[first], [second]])), task_id="fetch_all")
    notes = [json.loads(path.read_bytes()) for path in tmp_path.rglob("run.json")]
    assert [note["landed"] for note in notes] == [True]


def test_a_fetch_by_hand_of_some_shards_has_not_ended_the_run(run: Run, model_id: str, tmp_path: Path) -> None:
    spec = spec_of(run, run.write(with_person()), output={"uri": f"file://{run.out}"}, limits={"max_requests": 20})
    [first], [second] = run.execute(PrepareInputOperator(task_id="prepare", spec=spec, dag=run.dag))
    run.fetch(run.wait(run.submit(model_id, [[first]])), task_id="fetch_one")
    later = run.wait(run.submit(model_id, [[second]]))
    with pytest.raises(AirflowFailException, match="not ended, and landing would bring these rows back"):
        erase(tmp_path, spec)
    run.fetch(later, task_id="fetch_other")
    assert erase(tmp_path, spec, "again")["state"] == "erased"


def test_a_fetch_by_hand_speaks_for_no_other_spec(run: Run, model_id: str, tmp_path: Path) -> None:
    _, first = by_hand(run, model_id, "one", rows_of(21), name="other")
    spec, second = by_hand(run, model_id, "two", with_person())
    run.fetch(first, task_id="fetch_one")
    with pytest.raises(AirflowFailException, match="not ended, and landing would bring these rows back"):
        erase(tmp_path, spec)
    run.fetch(second, task_id="fetch_two")
    assert erase(tmp_path, spec, "again")["state"] == "erased"


@pytest.fixture
def earlier_version() -> Iterator[pytest.MonkeyPatch]:
    """Until it is undone, all flows have the names of their run."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(prepare, "flow_of", lambda prepared_by: "")
        yield patched


def test_a_cleared_run_of_an_earlier_version_finds_what_was_handed_on(
    server: Server, model_id: str, run: Run, earlier_version: pytest.MonkeyPatch
) -> None:
    """The first job has no answer, so that without its repair round it would make way for another attempt."""
    server.fault("expire", fraction=0)
    before = Rounds(run, model_id)
    before.shards()
    before.repair()
    report = before.report()
    earlier_version.undo()
    rounds = Rounds(run, model_id)
    rounds.shards()
    assert len(server.ledger) == 2
    rounds.repair()
    assert (rounds.report(), len(server.ledger)) == (report, 2)


def test_a_cleared_run_of_an_earlier_version_finds_what_was_asked_online(
    server: Server, run: Run, earlier_version: pytest.MonkeyPatch
) -> None:
    model_id = server.model(dimensions=8)
    flow = cut_off(server, run, model_id)
    before = flow.report(flow.answer())
    earlier_version.undo()
    again = late.Flow(run, model_id)
    again.round()
    answered = again.answer()
    assert (asked_online(server), len(server.ledger)) == (6, 1)
    assert again.report(answered)["results"] == before["results"]
