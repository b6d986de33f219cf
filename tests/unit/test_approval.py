"""What somebody is asked before a plan is paid for, and where the question stands in a DAG."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import DownstreamTasksSkipped
from msgspec.structs import replace

from opensearch_batch.errors import SpecError
from opensearch_batch.fill import fill_embeddings
from opensearch_batch.flow.approval import Approval
from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.not_sent import rejected_report
from opensearch_batch.land.report import Report
from opensearch_batch.pages.run_page import run_page
from opensearch_batch.pipeline import batch_inference
from opensearch_batch.prepare.approval import (
    MOST_CHARACTERS,
    body_of,
    must_ask,
    of_shards,
    shown_request,
    subject_of,
)
from opensearch_batch.prepare.plan import Plan, make_plan
from opensearch_batch.prepare.prices import Price
from opensearch_batch.scrubbing import remember_connection
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.before_paying import check_approval
from tests.sandbox.bench import TaskInstance
from tests.unit.test_run_page import text_of

SHARDS = [Shard(0, "mem://0", "a", 10, 1000, 600_000), Shard(1, "mem://1", "b", 5, 500, 400_000)]
SPEC: dict[str, Any] = {
    "name": "articles",
    "model": {"name": "text-embedding-3-small"},
    "input": {"uri": "opensearch://corpus/articles"},
    "output": {"uri": "file:///data/out"},
    "write_back": {"vector_field": "v"},
    "limits": {"ask_above_usd": 1.5},
}
BESIDE = {"write_back": {"vector_field": "v", "mode": "beside"}, "parity": {}}
UNTIL = "2026-02-01T05:00:00+00:00"
REJECTED = Approval("rejected", 15, 2.0, 1.5, UNTIL, "Anna", "2026-01-31T05:00:00+00:00")


PRICE = Price(2.0, 8.0)


def plan_of(price: Price | None = PRICE, shards: list[Shard] = SHARDS, output: int | None = 0) -> Plan:
    return make_plan(shards, "key", price, dry_run=False, max_cost_usd=None, output_tokens_a_row=output)


def spec_of(**sections: Any) -> BatchSpec:
    return BatchSpec.check({**SPEC, **sections})


def body(
    plan: Plan, requests: list[bytes] | None = None, spec: BatchSpec | None = None, whole: Plan | None = None
) -> str:
    return body_of(plan, whole or plan, spec or spec_of(), requests or [], UNTIL)


@pytest.mark.parametrize(("above", "asks"), [(1.99, True), (2.0, False), (2.01, False)])
def test_somebody_is_asked_above_the_limit_and_not_at_it(above: float, asks: bool) -> None:
    assert plan_of().estimated_usd == 2.0
    assert must_ask(plan_of(), above) is asks


def test_what_is_not_known_is_not_cheap() -> None:
    assert must_ask(plan_of(None), 1_000_000)
    assert must_ask(plan_of(output=None), 1_000_000)


def test_about_nothing_nobody_is_asked() -> None:
    assert not must_ask(plan_of(None, []), 0)


def test_the_question_tells_rows_tokens_and_dollars() -> None:
    plan = replace(plan_of(output=10), price_origin="genai-prices' batch price", predictions=7)
    found = body(plan)
    assert subject_of(plan, spec_of()) == "articles: send 15 rows to text-embedding-3-small for about $2.00?"
    cents = replace(plan, estimated_usd=0.0036)
    assert subject_of(cents, spec_of()).endswith("for about $0.0036?")
    assert "- **Rows:** 15 in 2 shards\n" in found
    assert "- **Tokens:** about 1,000,000 in (bytes / 4), at most 150 out\n" in found
    assert "- **Price:** about $2.0012 at genai-prices' batch price\n" in found
    assert "go again in a repair round, which does not ask; up to 7 online predictions of the parity check" in found
    assert f"rejected at {UNTIL}" in found
    assert "Paid already" not in found


def test_the_question_says_where_a_price_is_not_known() -> None:
    assert "**Price:** not known for `text-embedding-3-small`; `limits.usd_per_million_tokens` would" in body(
        plan_of(None)
    )
    assert subject_of(plan_of(None), spec_of()).endswith("at a price that is not known?")
    hourly = replace(plan_of(None), usd_per_instance_hour=1.2)
    assert "the provider bills machines, $1.2 an instance-hour" in body(hourly)
    unbound = body(plan_of(output=None))
    assert "about $2.0000 for the input alone" in unbound
    assert "out: not known, the answers have no bound" in unbound


def test_what_is_paid_for_is_taken_off() -> None:
    whole = plan_of(output=100)
    rest = of_shards(whole, SHARDS[1:])
    assert (rest.records, rest.shards, rest.estimated_tokens, rest.output_tokens_at_most) == (5, 1, 400_000, 500)
    assert rest.estimated_usd == pytest.approx(0.4 * 2 + 500 * 8 / 1e6)
    assert of_shards(whole, SHARDS) == whole
    assert of_shards(whole, []).records == 0
    assert of_shards(plan_of(None), SHARDS[1:]).estimated_usd is None
    assert "- **Paid already:** 10 rows of this run, not counted here\n" in body(rest, whole=whole)


def test_a_sample_is_bounded_and_cannot_leave_its_block() -> None:
    text = "line\n```\n# heading\n" * 500
    shown = shown_request(json.dumps({"body": {"input": text}}).encode())
    assert len(shown) == MOST_CHARACTERS + 2
    assert not [line for line in shown.splitlines() if line.strip().startswith("```")]


def test_a_sample_has_no_key_not_even_a_part_at_the_cut() -> None:
    key = "sk-not-a-real-key-0123456789"
    remember_connection(SimpleNamespace(conn_id="asked", password=key, login=None, host="", extra=None))
    for before in range(MOST_CHARACTERS - 60, MOST_CHARACTERS, 7):
        raw = json.dumps({"input": "x" * before + key}).encode()
        assert key[:8] not in shown_request(raw)
    found = body(
        plan_of(), [json.dumps({"input": f"the key is {key}"}).encode()], spec_of(name="a", model={"name": key})
    )
    assert key not in found
    assert "the key is ***" in found


def test_names_with_signs_of_markdown_stay_text() -> None:
    found = body(plan_of(), spec=spec_of(model={"name": "a`\n# b"}))
    assert "`a # b` of openai" in found


@pytest.mark.parametrize("wrong", [{"ask_above_usd": -1}, {"ask_timeout_hours": 0}, {"ask_users": "anna"}])
def test_wrong_limits_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=f"limits.{next(iter(wrong))}"):
        spec_of(limits=wrong)


class TestWiring:
    def wired(self, spec: Any, **more: Any) -> DAG:
        with DAG("asking", schedule=None) as dag:
            batch_inference(spec, **more)
        return dag

    def test_the_question_stands_between_plan_and_all_that_pays_or_writes(self) -> None:
        approve = self.wired(spec_of(reuse={"uri": "file:///tmp/r"})).get_task("approve")
        assert approve.upstream_task_ids == {"prepare_input"}
        assert approve.downstream_task_ids == {"create_connector", "write_reused", "prepare_repair_1"}

    def test_a_rejection_leaves_the_alias_and_compares_nothing(self) -> None:
        approve = self.wired(spec_of(**BESIDE)).get_task("approve")
        assert {"carry_over", "check_parity"} <= approve.downstream_task_ids

    def test_chunks_of_earlier_runs_wait_for_the_answer_too(self) -> None:
        chunked = {**SPEC["input"], "chunks": {"size": 100}}
        spec = spec_of(input=chunked, write_back={"vector_field": "chunks.v"})
        assert "write_chunks" in self.wired(spec).get_task("approve").downstream_task_ids

    def test_the_report_is_no_direct_child_and_knows_whom_to_ask(self) -> None:
        dag = self.wired(spec_of(**BESIDE))
        report: Any = dag.get_task("report")
        assert report.approved_by == "approve"
        assert "approve" not in report.upstream_task_ids
        assert "approve" in report.get_flat_relative_ids(upstream=True)

    def test_a_spec_without_the_limit_has_no_such_task(self) -> None:
        dag = self.wired(spec_of(limits={}))
        report: Any = dag.get_task("report")
        assert (dag.has_task("approve"), report.approved_by) == (False, "")

    def test_a_spec_that_is_known_at_run_time_only_may_ask(self) -> None:
        assert self.wired("{{ params.spec }}").has_task("approve")
        assert self.wired(spec_of(limits={}), overrides={"limits.ask_above_usd": "{{ params.usd }}"}).has_task(
            "approve"
        )

    def test_an_index_is_filled_after_an_answer(self) -> None:
        with DAG("filling", schedule=None) as dag:
            fill_embeddings("articles", "body", "v", model="text-embedding-3-small", limits={"ask_above_usd": 1})
        assert dag.has_task("approve")

    def test_where_nothing_is_sent_the_approval_keeps_no_copied_vector_from_its_document(self) -> None:
        prepare: Any = self.wired(spec_of(reuse={"uri": "file:///tmp/r"})).get_task("prepare_input")
        for writing, skipped in ((True, False), (False, True)):
            with pytest.raises(DownstreamTasksSkipped) as skips:
                prepare._skip_what_follows(TaskInstance({}, "prepare_input"), writing=writing)
            assert "create_connector" in skips.value.tasks
            assert ("approve" in skips.value.tasks) is ("write_reused" in skips.value.tasks) is skipped

    def test_a_dag_that_would_pay_unasked_is_refused(self) -> None:
        tasks = [task for task in self.wired(spec_of(limits={})).tasks if task.task_id != "prepare_input"]
        with pytest.raises(SpecError, match="no task that asks.*Nothing was sent"):
            check_approval(spec_of(), tasks)
        check_approval(spec_of(limits={}), tasks)
        check_approval(spec_of(), self.wired(spec_of()).tasks)


class TestRejected:
    def test_the_report_accounts_for_every_row_as_not_sent(self) -> None:
        report = rejected_report(plan_of(), REJECTED)
        assert (report.records, report.not_sent, report.missing, report.absent, report.answered) == (15, 15, 0, [], 0)
        assert (report.manifest, report.results, report.actual_tokens) == ("", [], 0)
        assert "15 rows for about $2.0000 rejected by Anna at 2026-01-31" in str(report)
        assert str(report).endswith("nothing was sent, and nothing was written")
        assert Report.from_dict(report.to_dict()) == report

    def test_what_an_earlier_try_has_sent_is_not_told_as_unsent(self) -> None:
        job = Job("key-1", 1, "batch-1", None, None, "model", SHARDS[1])
        report = rejected_report(plan_of(), REJECTED, [job, job])
        assert report.not_sent == 10
        assert "nothing more was sent; 5 rows have jobs of an earlier try" in str(report)

    def test_twins_are_rows_that_nobody_has_sent_too(self) -> None:
        plan, shard = replace(plan_of(), twins=3), replace(SHARDS[1], twins=1)
        assert rejected_report(plan, REJECTED).not_sent == 18
        job = Job("key-1", 1, "batch-1", None, None, "model", shard)
        assert rejected_report(plan, REJECTED, [job]).not_sent == 12
        more = [replace(job, key=f"key-{n}") for n in range(4)]
        assert rejected_report(plan, REJECTED, more).not_sent == 0, "of an earlier input there may be more"
        repaired = replace(job, shard=replace(shard, round=1))
        by_hand = replace(job, key="by hand", shard=None)
        assert rejected_report(plan, REJECTED, [repaired, by_hand]).not_sent == 18

    def test_nobody_answering_is_a_rejection_and_said_to_be_none(self) -> None:
        silent = replace(REJECTED, answer="no_answer", by="")
        assert silent.refused
        assert f"not approved by anybody until {UNTIL}, which counts as rejected" in str(silent)
        assert not replace(REJECTED, answer="approved").refused

    def test_the_page_of_the_run_says_so(self) -> None:
        report = rejected_report(plan_of(), REJECTED).to_dict()
        page = text_of(run_page("nightly", "r", {"approval": REJECTED.to_dict(), "report": report}))
        assert "Approval answer rejected by Anna at 2026-01-31" in page
        assert "asked for 15 rows, $2.0000" in page
        assert "The plan was rejected: nothing was sent, and nothing was written." in page
        assert "manifest" not in page

    def test_the_page_does_not_call_rows_of_an_earlier_try_unsent(self) -> None:
        job = Job("key-1", 1, "batch-1", None, None, "model", SHARDS[1])
        report = rejected_report(plan_of(), REJECTED, [job]).to_dict()
        page = text_of(run_page("nightly", "r", {"approval": REJECTED.to_dict(), "report": report}))
        assert "nothing more was sent" in page
        assert "sent nothing" not in page

    def test_the_page_says_that_somebody_has_to_answer(self) -> None:
        waiting = replace(REJECTED, answer="waiting", by="", at="")
        page = text_of(run_page("nightly", "r", {"approval": waiting.to_dict()}))
        assert "answer not yet: see Required Actions" in page
        unasked = replace(waiting, answer="not_asked")
        assert "Approval" not in text_of(run_page("nightly", "r", {"approval": unasked.to_dict()}))
