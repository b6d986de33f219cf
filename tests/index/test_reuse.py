"""A text that is paid for is not sent again: not by another run or spec, for another index, from another file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from opensearch_batch import results
from opensearch_batch.fill import fill_embeddings
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.operators import ReportOperator
from opensearch_batch.reuse import entries
from opensearch_batch.reuse.landed_lines import keep_landed
from tests.index.bench import DIMENSIONS, Cluster, Fill, Index, articles
from tests.sandbox.bench import MODEL, Run, Server, rows_of

Night = Callable[..., Fill]
PaidFor = Callable[[int], Fill]
CopyOf = Callable[..., Fill]


@pytest.fixture
def reuse(tmp_path: Path) -> dict[str, Any]:
    return {"uri": f"file://{tmp_path}/paid-for"}


@pytest.fixture
def paid_for(index: Index, night: Night, reuse: Any) -> PaidFor:
    """A first night that has filled the index with so many articles."""

    def filled(count: int) -> Fill:
        index.add(articles(count))
        run = night(reuse=reuse)
        run.through()
        return run

    return filled


@pytest.fixture
def copy_of(cluster: Cluster, night: Night, reuse: Any) -> CopyOf:
    """A night, not begun, over another index with so many articles: the same, and what there is of them more."""

    def another(count: int, name: str = "articles-copy", **settings: Any) -> Fill:
        run = night(name, **{"reuse": reuse, **settings})
        run.index = cluster.index(name)
        run.index.add(articles(count))
        return run

    return another


def test_another_index_with_the_same_texts_costs_only_what_is_new(
    index: Index, paid_for: PaidFor, copy_of: CopyOf, server: Server
) -> None:
    paid_for(40)
    run = copy_of(45)
    report = run.through()
    assert (report["records"], report["answered"], report["reused"]) == (45, 45, 40)
    assert (run.plan["records"], run.plan["reused_rows"]) == (5, 40)
    assert report["written"]["written"] == 45
    vectors = {name: hit["_source"]["vector"] for name, hit in index.hits.items()}
    copied = {name: hit["_source"]["vector"] for name, hit in run.index.hits.items() if name in vectors}
    assert copied == vectors
    assert [job["requests"] for job in server.ledger] == [40, 5]


def test_a_run_with_nothing_new_is_whole_without_a_job(paid_for: PaidFor, copy_of: CopyOf, server: Server) -> None:
    paid_for(20)
    run = copy_of(20)
    report = run.through()
    assert (report["answered"], report["reused"], report["jobs"]) == (20, 20, [])
    assert run.index.vectors == set(articles(20))
    assert len(server.ledger) == 1
    assert len(list(results.open(report["manifest"]))) == 20


def test_a_document_edited_meanwhile_is_left_alone_by_copied_vectors_too(paid_for: PaidFor, copy_of: CopyOf) -> None:
    paid_for(10)
    run = copy_of(10)
    assert run.through(lambda: run.index.edit("a1", body="edited"))["written"]["superseded"] == 1
    assert run.index.vectors == set(articles(10)) - {"a1"}


def test_documents_with_one_text_cost_one_vector_and_each_gets_it(index: Index, night: Night, reuse: Any) -> None:
    same = {f"same-{n}": {"title": f"title {n}", "body": "a text of many documents"} for n in range(8)}
    index.add(articles(5))
    index.add(same)
    run = night(reuse=reuse)
    report = run.through(lambda: index.edit("same-0", body="edited"))
    assert (run.plan["records"], run.plan["twins"]) == (6, 7)
    assert (report["records"], report["answered"], report["twins"]) == (13, 13, 7)
    assert (report["written"]["written"], report["written"]["superseded"]) == (12, 1)
    assert index.vectors == {*articles(5), *same} - {"same-0"}
    vectors = {str(hit["_source"]["vector"]) for name, hit in index.hits.items() if name in same and name != "same-0"}
    assert len(vectors) == 1
    second = night("night-2", reuse=reuse)
    assert second.through()["written"]["written"] == 1


@pytest.mark.parametrize(
    "settings", [{"model": {"name": "text-embedding-3-large"}}, {"reuse": None}], ids=["another model", "switched off"]
)
def test_every_text_is_sent(paid_for: PaidFor, copy_of: CopyOf, settings: dict[str, Any]) -> None:
    paid_for(10)
    run = copy_of(10, **settings)
    run.prepare()
    assert (run.plan["records"], run.plan.get("reused_rows", 0)) == (10, 0)


@pytest.mark.parametrize("gone", ["record", "results"])
def test_what_is_no_longer_there_is_sent(paid_for: PaidFor, copy_of: CopyOf, tmp_path: Path, gone: str) -> None:
    first = paid_for(10)
    folder = tmp_path / "paid-for" if gone == "record" else first.run.out
    for path in folder.glob("*.parquet" if gone == "record" else "results-*"):
        path.unlink()
    run = copy_of(10)
    run.prepare()
    assert (run.plan["records"], run.plan["reused_rows"]) == (10, 0)


def test_where_the_newest_results_are_gone_the_older_ones_serve(paid_for: PaidFor, copy_of: CopyOf) -> None:
    paid_for(10)
    copy = copy_of(10)
    copy.run.out = copy.run.folder / "copied"
    copy.through()
    for path in copy.run.out.glob("results-*"):
        path.unlink()
    run = copy_of(10, "third")
    run.prepare()
    assert (run.plan["records"], run.plan["reused_rows"]) == (0, 10)


def test_what_a_failed_run_has_paid_for_is_not_paid_again(
    index: Index, night: Night, reuse: Any, server: Server
) -> None:
    index.add(articles(10))
    server.fault("fail_rows", ids=["a3"])
    run = night(reuse=reuse)
    landed = run.land(run.prepare())
    with pytest.raises(AirflowFailException, match="vectors have landed and are not in the index"):
        run.report(landed)
    second = night("night-2", reuse=reuse)
    report = second.through()
    assert (report["reused"], report["written"]["written"]) == (9, 10)
    assert [job["requests"] for job in server.ledger] == [10, 1]


def test_a_vector_grows_old_also_where_it_is_copied(
    paid_for: PaidFor, copy_of: CopyOf, reuse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid_for(5)
    began = time.time()
    for days, name in ((5, "in-time"), (11, "too-late")):
        with monkeypatch.context() as later:
            later.setattr(time, "time", lambda days=days: began + days * entries.DAY_SECONDS)
            run = copy_of(5, name, reuse={**reuse, "max_age_days": 10})
            run.through()
            assert run.plan["reused_rows"] == (5 if name == "in-time" else 0)


def test_a_vector_without_a_direction_is_not_kept(tmp_path: Path, reuse: Any) -> None:
    """An index with cosine refuses it, and would refuse each copy."""
    lines = [
        f'{{"id":"{n}","_text_hash":"{n:032x}","embedding":{vector}}}\n'
        for n, vector in enumerate(("[0.0,-0.0,0]", "[0.0,0.1]"))
    ]
    path = tmp_path / "results-1.jsonl"
    path.write_text("".join(lines))
    file = DataFile(path.as_uri(), 2, path.stat().st_size, "")
    assert keep_landed(reuse["uri"], [file]) == 1


def test_a_broken_file_of_the_record_costs_money_and_no_run(paid_for: PaidFor, copy_of: CopyOf, tmp_path: Path) -> None:
    paid_for(5)
    (tmp_path / "paid-for" / "broken.parquet").write_bytes(b"no Parquet at all")
    run = copy_of(5)
    run.prepare()
    assert run.plan["reused_rows"] == 5


@pytest.fixture
def one_shard(cluster: Cluster, night: Night) -> Night:
    """Nights over forty articles in the order of their last write, five a batch."""
    index = cluster.index("one-shard", shards=1)
    index.add(articles(40))

    def begun(run_id: str = "night-1", **settings: Any) -> Fill:
        run = night(run_id, limits={"max_requests": 5}, **settings)
        run.index = index
        return run

    return begun


def test_one_edit_of_a_field_that_is_not_sent_makes_all_shards_of_a_clear_new_orders(
    one_shard: Night, server: Server
) -> None:
    """The first document goes to the end, and all others one place up."""
    run = one_shard()
    run.land(run.prepare())
    assert len(server.ledger) == 8
    run.index.edit("a0", title="another title")
    run.land(run.prepare())
    assert len(server.ledger) == 16


def test_with_reuse_a_new_run_pays_for_nothing_that_has_landed_and_a_clear_does(
    one_shard: Night, reuse: Any, server: Server
) -> None:
    """A cleared run takes its own texts for texts to send: by them it finds its jobs, while its shards are the same."""
    run = one_shard(reuse=reuse)
    landed = run.land(run.prepare())
    with pytest.raises(AirflowFailException, match="40 of 40 vectors have landed and are not in the index"):
        run.report(landed)
    run.index.edit("a0", title="another title")
    run.land(run.prepare())
    assert len(server.ledger) == 16
    assert one_shard("night-2", reuse=reuse).through()["reused"] == 40
    assert len(server.ledger) == 16


class OfFiles:
    """Nights over rows of files, each into a folder of its own."""

    def __init__(self, folder: Path, reuse: Any, model_id: str) -> None:
        self.folder, self.reuse, self.model_id = folder, reuse, model_id

    def spec(self, run: Run, rows: list[dict[str, Any]]) -> dict[str, Any]:
        run.out = self.folder / run.run_id
        return {
            "name": run.run_id,
            "model": {"name": MODEL, "parameters": {"dimensions": DIMENSIONS}},
            "input": {"uri": run.write(rows, f"{run.run_id}.jsonl")},
            "output": {"uri": f"file://{run.out}", "include": ["text"]},
            "work_uri": f"file://{self.folder}/work",
            "reuse": self.reuse,
        }

    def night(self, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return self.through(Run(self.folder, name), rows)

    def through(self, run: Run, rows: list[dict[str, Any]]) -> dict[str, Any]:
        spec = self.spec(run, rows)
        shards = run.prepare(spec["input"]["uri"], spec=spec, model=None, model_parameters=None, input_uri=None)
        landed = []
        if shards:
            dag = DAG("by_hand", schedule=None)
            landed = [run.fetch(run.wait(run.submit(self.model_id, shards)), spec=spec, final=False, dag=dag)]
        report: dict[str, Any] = run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=landed))
        return report


@pytest.fixture
def of_files(tmp_path: Path, reuse: Any, server: Server) -> OfFiles:
    return OfFiles(tmp_path, reuse, server.model())


def test_rows_of_files_are_copied_too(of_files: OfFiles, server: Server) -> None:
    rows = rows_of(30)
    first = of_files.night("one", rows)
    more = [{"id": "new", "text": "a text that is new"}, {"id": "same", "text": "text number 3"}]
    again = of_files.night("two", [*rows, *more])
    assert (again["answered"], again["reused"], len(server.ledger)) == (32, 31, 2)
    vectors = {row["text"]: row["embedding"] for row in results.open(first["manifest"])}
    copied = {row["id"]: row for row in results.open(again["manifest"])}
    assert copied["same"]["embedding"] == vectors["text number 3"]
    assert all(copied[row["id"]]["embedding"] == vectors[row["text"]] for row in rows)


def test_a_cleared_run_pays_for_nothing_again_though_others_have_copied_a_part_of_its_texts(
    of_files: OfFiles, server: Server
) -> None:
    rows, run = rows_of(30), Run(of_files.folder, "one")
    of_files.through(run, rows)
    assert of_files.night("two", rows[:10])["reused"] == 10
    assert of_files.through(run, rows)["answered"] == 30
    assert [job["requests"] for job in server.ledger] == [30]


def test_a_cleared_run_copies_again_what_it_has_copied_though_the_first_results_are_gone(
    of_files: OfFiles, server: Server
) -> None:
    rows, run = rows_of(30), Run(of_files.folder, "two")
    of_files.night("one", rows[:10])
    of_files.through(run, rows)
    for path in (of_files.folder / "one").glob("results-*"):
        path.unlink()
    assert of_files.through(run, rows)["reused"] == 10
    assert [job["requests"] for job in server.ledger] == [10, 20]


def test_a_vector_grows_no_younger_where_its_report_is_cleared(
    of_files: OfFiles, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_files.reuse = {**of_files.reuse, "max_age_days": 10}
    rows, run, began = rows_of(3), Run(of_files.folder, "one"), time.time()
    of_files.through(run, rows)
    monkeypatch.setattr(time, "time", lambda: began + 8 * entries.DAY_SECONDS)
    landed = [run.xcoms["fetch", "return_value"]]
    run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=landed))
    monkeypatch.setattr(time, "time", lambda: began + 12 * entries.DAY_SECONDS)
    of_files.night("two", rows)
    assert [job["requests"] for job in server.ledger] == [3, 3]


def test_a_dry_run_counts_and_writes_nothing(paid_for: PaidFor, copy_of: CopyOf) -> None:
    paid_for(10)
    run = copy_of(12)
    spec = {**run.spec, "dry_run": True}
    no_more: dict[str, Any] = dict.fromkeys(("model", "model_parameters", "input_uri", "work_uri"))
    run.run.prepare(run.index.uri, task_id=run.prepared_by, spec=spec, **no_more)
    assert (run.plan["records"], run.plan["reused_rows"], "reused" in run.plan) == (2, 10, False)
    with pytest.raises(AirflowSkipException):
        run.write_reused()


def test_a_dag_that_reuses_has_a_task_that_writes_what_is_copied() -> None:
    with DAG("reusing", schedule=None) as dag:
        fill_embeddings(
            "articles", ["title", "body"], "vector", model=MODEL, output_uri="file:///out", reuse={"uri": "file:///r"}
        )
    assert dag.get_task("write_reused").upstream_task_ids == {"prepare_input"}
    assert "write_reused" in dag.get_task("report").upstream_task_ids
