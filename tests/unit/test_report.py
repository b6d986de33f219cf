"""A report's words: what somebody reads of a run in the log, in mails and on the pages, without opening its files."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from opensearch_batch.flow.approval import Approval
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.stragglers import Stragglers
from opensearch_batch.land.reconcile import MISSING, NAMED, Failure, Left, Tally
from opensearch_batch.land.report import Report, reported, shards_named, sum_up
from opensearch_batch.land.summary import summary_of
from tests.unit.test_reconcile import landed, plan

URI = "file:///out/manifest.json"
REJECTED = Approval("rejected", 20, 0.5, 0.1, by="ada", at="noon")
ONLINE = Stragglers(3, 2, 1, 0, 90, 0.1, 0.25, 1.0)


def report(**changed: Any) -> Report:
    """Of a run of two shards with ten rows each, all answered."""
    return replace(sum_up(plan(20, 2), [landed(0), landed(1)], URI), **changed)


def test_a_plain_run_in_words() -> None:
    assert str(report()) == (
        f"manifest {URI}: 20 of 20 rows answered, 0 failed, 0 missing; 2 jobs, 2000000 tokens, $4.0000 "
        "(estimated $0.0001)"
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"zero_vectors": 2, "truncated": 1}, "0 missing, 2 all-zero vectors, 1 truncated texts; 2 jobs"),
        ({"duplicates": 1, "foreign": 3}, "0 missing, 1 duplicates, 3 foreign; 2 jobs"),
        ({"failed": 1, "bad_rows": 1}, "1 failed (1 bad row of the input), 0 missing"),
        ({"repaired": 4}, "rows answered (4 in a repair round), 0 failed"),
        ({"reused": 5}, "rows answered (5 with the vector of an earlier run), 0 failed"),
        ({"twins": 2}, "; 2 rows with the text of another row, which was sent once"),
        ({"twins": 1}, "; 1 row with the text of another row, which was sent once"),
        ({"instance_seconds": 90.4}, "2 jobs, 90 instance-seconds, $4.0000"),
        ({"stragglers": ONLINE}, "; stragglers: 2 of 3 rows answered online for about $0.2500"),
    ],
    ids=str,
)
def test_what_is_told_beside_the_counts(changed: dict[str, Any], words: str) -> None:
    assert words in str(report(**changed))
    assert words not in str(report())


def test_money_is_told_as_far_as_it_is_known() -> None:
    assert str(report(estimated_usd=None)).endswith("2000000 tokens, $4.0000")
    assert "$" not in str(report(actual_usd=None))


def test_jobs_that_did_not_land_have_a_price_not_known_yet() -> None:
    job = reported(Job("key", 1, "batch_9", "file-9", None, "m"), "failed", 10)
    assert (job.shard, job.round) == (None, 0)
    one, none = report(unlanded=[job], actual_usd=None), report(unlanded=[job, job])
    assert "2 jobs and 1 job more, submitted and not landed, 2000000 tokens, at a price not known yet" in str(one)
    assert "2 jobs and 2 jobs more, submitted and not landed, 2000000 tokens, $4.0000" in str(none)


def test_shared_jobs_name_the_runs_that_paid_for_them() -> None:
    parts = [landed(0), landed(1), landed(2)]
    owned = [replace(part, job=replace(part.job, shared_with=run)) for part, run in zip(parts[:2], "ba", strict=True)]
    assert "; 3 jobs (2 shared with a, b, paid there), " in str(sum_up(plan(30, 3), [*owned, parts[2]], URI))


@pytest.mark.parametrize(
    ("not_sent", "sent"),
    [(20, "nothing was sent"), (19, "nothing more was sent; 1 rows have jobs of an earlier try"),
     (0, "nothing more was sent; 20 rows have jobs of an earlier try")],
)  # fmt: skip
def test_a_rejected_run_says_what_was_sent_all_the_same(not_sent: int, sent: str) -> None:
    assert str(report(approval=REJECTED, not_sent=not_sent)) == f"{REJECTED}: {sent}, and nothing was written"


def test_an_approved_run_says_by_whom() -> None:
    assert str(report(approval=replace(REJECTED, answer="approved"))).endswith(
        "; 20 rows for about $0.5000 approved by ada at noon"
    )


def test_shards_are_named_up_to_a_bound() -> None:
    assert (shards_named([3]), shards_named([0, 3])) == ("shard 3", "shards 0, 3")
    assert shards_named(range(NAMED)) == f"shards {', '.join(map(str, range(NAMED)))}"
    assert shards_named(range(NAMED + 1)) == f"shards {', '.join(map(str, range(NAMED)))}, …"


def test_missing_rows_are_named_and_whether_there_are_more() -> None:
    named = {MISSING: ["a", "b"]}
    assert report(missing=2, named=named).problems == ["2 missing (a, b)"]
    assert report(missing=3, named=named).problems == ["3 missing (a, b, …)"]


def test_a_manifest_of_an_earlier_version_has_unreadable_lines_that_may_be_made_up_for() -> None:
    earlier = report(unreadable=2, unexplained=UNSET)
    assert earlier.problems == ["2 unreadable"]
    assert replace(earlier, unreadable=1).problems == ["1 unreadable"]
    assert replace(earlier, passing={MISSING: 1}).problems == ["2 unreadable"]
    for made_up in (2, 3):
        assert replace(earlier, passing={MISSING: made_up}).problems == []


def test_all_has_landed_where_no_shard_is_absent_and_no_round_is_lost() -> None:
    assert report().all_landed
    assert not report(absent=[1]).all_landed
    assert not report(left=1).all_landed


def test_bad_rows_and_reused_ones_are_rows_too() -> None:
    tally = Tally()
    tally.count(Failure("bad", "bad_row", "no text"))
    bad = Left(tally, DataFile("file:///out/bad.jsonl", 1, 1, "s"))
    found = sum_up(plan(20, 2), [landed(0), landed(1)], URI, (), bad, DataFile("file:///out/reused.jsonl", 5, 1, "s"))
    assert (found.records, found.answered, found.failed, found.missing) == (26, 25, 1, 0)
    assert (found.bad_rows, found.reused, found.left) == (1, 5, 0)
    assert (found.results[-1], found.failures) == ("file:///out/reused.jsonl", ["file:///out/bad.jsonl"])


def test_a_run_paid_for_its_batches_and_its_stragglers() -> None:
    run = report(stragglers=ONLINE)
    spec = {"model": {"name": "m"}}
    assert summary_of(run, spec).actual_usd == 4.25
    assert summary_of(replace(run, stragglers=replace(ONLINE, usd=None)), spec).actual_usd == 4.0
    assert summary_of(report(), spec).actual_usd == 4.0
    assert summary_of(replace(run, actual_usd=None), spec).actual_usd is None


def test_a_summary_counts_what_there_was() -> None:
    parts = [landed(0, answered=8, passing={MISSING: 2}), landed(1), landed(0, 2, 1)]
    found = summary_of(sum_up(plan(20, 2), parts, URI), {"model": {"name": "m"}})
    assert (found.provider, found.model, found.rows, found.jobs, found.rounds) == ("openai", "m", 20, 3, 1)
    assert (found.repaired, found.reused, found.twins) == (2, 0, 0)
    assert summary_of(report(), {}).rounds == 0
    by_hand = summary_of(report(reused=3, twins=4), {})
    assert (by_hand.provider, by_hand.model, by_hand.reused, by_hand.twins) == ("", "", 3, 4)
