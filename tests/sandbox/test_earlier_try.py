"""A run is cleared and prepared anew with other rows. Airflow keeps what its mapped tasks gave before, where they did
not run again: none of that may count for a row that this preparation planned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from opensearch_batch.fill import fill_embeddings
from opensearch_batch.operators import PrepareRepairOperator, ReportOperator
from tests.sandbox.bench import MODEL, Run, Server
from tests.sandbox.test_repair import sent

A_SHARD = 10


class Tries:
    """A run with two rounds whose outputs stay under their map indexes, until a later try gives others."""

    def __init__(self, run: Run, model_id: str) -> None:
        self.run, self.model_id = run, model_id
        self.kept: dict[str, dict[int, Any]] = defaultdict(dict)

    def prepare(self, rows: list[dict[str, Any]]) -> list[Any]:
        bundles: list[Any] = self.run.prepare(rows, output_uri=f"file://{self.run.out}", max_requests=A_SHARD)
        return bundles

    def round(self, number: int, bundles: list[Any], but: Collection[int] = ()) -> None:
        """Indexes in `but` fail before they give anything: what they gave in an earlier try stays."""
        for index, bundle in enumerate(bundles):
            if index in but:
                continue
            jobs = self.run.submit(self.model_id, bundle, task_id=f"submit_{number}")
            outcomes = self.run.wait(jobs, task_id=f"wait_{number}")
            fetched = self.run.fetch(
                outcomes, task_id=f"fetch_{number}", final=False, repair=number == 0, dag=DAG("by_hand", schedule=None)
            )
            for task, given in (("submit", jobs), ("wait", outcomes), ("fetch", fetched)):
                self.kept[f"{task}_{number}"][index] = given
        for task, given in self.kept.items():
            self.run.xcoms[task, "return_value"] = list(given.values())

    def prepare_repair(self) -> list[Any]:
        self.run.xcoms.pop(("prepare_repair", "taken"), None)
        landed = self.run.xcoms["fetch_0", "return_value"]
        bundles: list[Any] = self.run.execute(
            PrepareRepairOperator(task_id="prepare_repair", planned_by="prepare", landed=landed)
        )
        return bundles

    def whole(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        self.round(0, self.prepare(rows))
        with suppress(AirflowSkipException):
            self.round(1, self.prepare_repair())
        return self.report()

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = self.run.execute(
            ReportOperator(
                task_id="report",
                planned_by="prepare",
                landed=[self.run.xcoms.get((f"fetch_{number}", "return_value"), []) for number in (0, 1)],
                repaired_by=["prepare_repair"],
                submitted_by=["submit_0", "submit_1"],
                waited_by=["wait_0", "wait_1"],
            )
        )
        return report

    def failed_report(self, match: str) -> dict[str, Any]:
        with pytest.raises(AirflowFailException, match=match):
            self.report()
        report: dict[str, Any] = self.run.manifest["report"]
        return report


@pytest.fixture
def tries(run: Run, model_id: str) -> Tries:
    return Tries(run, model_id)


def rows(numbers: range, text: str = "text") -> list[dict[str, Any]]:
    return [{"id": f"row-{n}", "text": f"{text} {n}"} for n in numbers]


def ids(numbers: range) -> set[str]:
    return {f"row-{n}" for n in numbers}


def counts(report: dict[str, Any]) -> tuple[int, ...]:
    return tuple(report[name] for name in ("records", "answered", "failed", "missing"))


def test_of_fewer_shards_the_last_one_of_before_is_passed_over_and_its_file_removed(tries: Tries, run: Run) -> None:
    assert counts(tries.whole(rows(range(30)))) == (30, 30, 0, 0)
    before = set(run.files())
    report = tries.whole(rows(range(20), "another text"))
    assert (counts(report), report["shards"], len(report["jobs"])) == ((20, 20, 0, 0), 2, 2)
    assert "unlanded" not in report
    assert set(run.landed("results")) == ids(range(20))
    left = {name for name in set(run.files()) & before if name.startswith("results")}
    assert left == set(), "no file of before"


def test_of_fewer_shards_a_lost_row_is_missing(server: Server, tries: Tries) -> None:
    tries.whole(rows(range(30)))
    server.fault("lose_row", times=2)
    tries.round(0, tries.prepare(rows(range(20), "another text")))
    tries.prepare_repair()
    report = tries.failed_report("2 missing .row-")
    assert (counts(report), report["left"], report["absent"]) == ((20, 18, 0, 2), 2, [])


def test_of_as_many_shards_with_other_rows_the_absent_one_is_absent(server: Server, tries: Tries, run: Run) -> None:
    tries.whole(rows(range(20)))
    server.fault("fail_rows", ids=["row-3"], code="too_long")
    tries.round(0, tries.prepare(rows(range(20), "another text")), but=[1])
    report = tries.failed_report("10 missing; shard 1 never landed")
    assert (counts(report), report["absent"]) == ((20, 9, 1, 10), [1])
    assert set(run.landed("results")) == ids(range(10)) - {"row-3"}


def test_a_shard_that_has_moved_to_another_index_counts_once(server: Server, tries: Tries, run: Run) -> None:
    tries.whole(rows(range(30)))
    server.fault("lose_row")
    tries.round(0, tries.prepare(rows(range(20, 40))))
    assert counts(tries.failed_report("1 missing")) == (20, 19, 0, 1)
    assert len(run.landed("results")) == 19
    assert len(sent(server)) == 4


def test_a_shard_that_landed_under_another_index_alone_has_landed(server: Server, tries: Tries) -> None:
    tries.whole(rows(range(30)))
    tries.round(0, tries.prepare(rows(range(20, 40))), but=[0])
    report = tries.report()
    assert (counts(report), [job["shard"] for job in report["jobs"]]) == ((20, 20, 0, 0), [0, 1])


def test_fewer_repair_rows_with_one_lost(server: Server, tries: Tries, run: Run) -> None:
    server.fault("expire", fraction=0.5, times=2)
    assert counts(tries.whole(rows(range(20)))) == (20, 20, 0, 0)
    assert [len(job) for job in sent(server)] == [10, 10, 5, 5]
    server.fault("expire", fraction=0.8)
    tries.round(0, tries.prepare(rows(range(20), "another text")))
    bundles = tries.prepare_repair()
    server.fault("lose_row")
    tries.round(1, bundles)
    report = tries.failed_report("1 missing")
    assert (counts(report), report["repaired"]) == ((20, 19, 0, 1), 1)
    assert len(run.landed("results")) == 19
    assert [len(job) for job in sent(server)[4:]] == [10, 10, 2]


def test_as_many_repair_rows_whose_round_does_not_land(server: Server, tries: Tries, run: Run) -> None:
    """The round of before lies at the same place, and landed."""
    server.fault("expire", fraction=0.5, times=2)
    tries.whole(rows(range(20)))
    server.fault("expire", fraction=0.5, times=2)
    tries.round(0, tries.prepare(rows(range(20), "another text")))
    tries.round(1, tries.prepare_repair(), but=[1])
    report = tries.failed_report("5 of 20 rows failed")
    assert (counts(report), report["repaired"], report["left"]) == ((20, 15, 5, 0), 5, 5)
    assert len(run.landed("failures")) == 5


def test_a_repair_of_a_whole_shard_is_not_taken_for_the_shard(server: Server, tries: Tries) -> None:
    """They have the same content, and only the shard has landed."""
    server.fault("expire", fraction=0)
    tries.round(0, tries.prepare(rows(range(10))))
    tries.prepare_repair()
    report = tries.failed_report("10 of 10 rows failed")
    assert (counts(report), report["left"], len(report["jobs"])) == ((10, 0, 10, 0), 10, 1)


def test_what_was_handed_on_before_does_not_go_again(server: Server, tries: Tries) -> None:
    server.fault("expire", fraction=0.5, times=3)
    tries.whole(rows(range(30)))
    billed = len(server.ledger)
    tries.round(0, tries.prepare(rows(range(20), "another text")), but=[1])
    with pytest.raises(AirflowSkipException, match="no row of the round before"):
        tries.prepare_repair()
    report = tries.failed_report("10 missing; shard 1 never landed")
    assert (counts(report), report["left"], len(server.ledger)) == ((20, 10, 0, 10), 0, billed + 1)


def test_what_a_repair_took_before_counts_for_no_row(server: Server, tries: Tries) -> None:
    """Nothing lands in this try, so the repair does not run, and its outputs stay."""
    server.fault("expire", fraction=0.5, times=2)
    tries.whole(rows(range(20)))
    tries.prepare(rows(range(20), "another text"))
    report = tries.failed_report("20 missing; shards 0, 1 never landed")
    assert (counts(report), report["left"], report["jobs"]) == ((20, 0, 0, 20), 0, [])


def test_a_dag_tells_each_round_and_the_writer_of_chunks_what_was_planned() -> None:
    with DAG("rounds", schedule=None) as dag:
        fill_embeddings(
            "articles", "body", "chunks.embedding", model=MODEL, output_uri="file:///out",
            input={"chunks": {"size": 512, "overlap": 64}}, limits={"repair_rounds": 2},
        )  # fmt: skip
    tasks: dict[str, Any] = dag.task_dict
    repairs = ["prepare_repair_1", "prepare_repair_2"]
    assert [tasks[task].planned_by for task in repairs] == ["prepare_input", "prepare_repair_1"]
    assert [tasks[task].repaired_by for task in ("write_chunks", "report")] == [repairs, repairs]
