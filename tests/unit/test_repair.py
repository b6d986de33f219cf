"""A repair round: the rows that a job handed on, with the requests of the round before, in shards numbered anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from opensearch_batch import providers
from opensearch_batch.errors import BatchError, InputError
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.landing import land
from opensearch_batch.land.repair import leave, prepare_repair
from opensearch_batch.prepare.shards import ShardLimits
from opensearch_batch.submit.names import shard_key
from tests.unit.test_landing import Store
from tests.unit.test_reconcile import good

VENDOR = providers.DEFAULT
LIMITS = ShardLimits(requests=2, bytes=10_000)


def request(row_id: str, text: str) -> dict[str, Any]:
    body = {"model": "m", "input": text}
    return {"custom_id": row_id, "method": "POST", "url": "/v1/embeddings", "body": body}


def expired(folder: Path, index: int, ids: str, *answers: bytes, attempt: int = 1, **more: Any) -> Landed:
    """Land a shard's job that expired after these answers; the other rows are handed on."""
    path = folder / f"shard-{index}.jsonl"
    path.write_text("".join(json.dumps(request(row_id, f"text {row_id}")) + "\n" for row_id in ids))
    shard = Shard(index, f"file://{path}", f"sha-{index}", len(ids), 100, 10 * len(ids), **more)
    job = Job(shard_key(f"run {attempt}", shard), attempt, f"batch_{index}", "file-1", None, "m", shard)
    end = Outcome(job, "expired", "expired", [], len(ids), 0, 0, 0, 0)
    return land(end, Store(*answers), VENDOR, f"file://{folder}", "run", repair=True)  # type: ignore[arg-type]


def sent_again(shard: Shard) -> list[str]:
    return [json.loads(line)["custom_id"] for line in Path(shard.uri.removeprefix("file://")).read_text().splitlines()]


def test_rows_without_an_answer_go_again_in_shards_numbered_over_all_fetches(tmp_path: Path) -> None:
    fetched = [
        [expired(tmp_path, 0, "abc", good("b"))],
        [expired(tmp_path, 1, "d", good("d"))],
        [expired(tmp_path, 2, "efg")],
    ]
    taken, bundles = prepare_repair(fetched, VENDOR, f"file://{tmp_path}/repair", LIMITS)
    assert [[sent_again(shard) for shard in bundle] for bundle in bundles] == [[["a", "c"]], [["e", "f"], ["g"]]]
    shards = [shard for bundle in bundles for shard in bundle]
    assert [(shard.index, shard.round) for shard in shards] == [(0, 1), (1, 1), (2, 1)]
    assert [shard.uri.rsplit("/", 1)[-1] for shard in shards] == [f"shard-0000{n}.jsonl" for n in range(3)]
    assert [group.shards for group in taken] == bundles


def test_a_later_attempt_makes_shards_of_its_own(tmp_path: Path) -> None:
    """Its rows in common shards would send those of the first attempt again."""
    first, later = expired(tmp_path, 0, "a"), expired(tmp_path, 1, "b", attempt=2)
    taken, (bundle,) = prepare_repair([[first, later]], VENDOR, f"file://{tmp_path}/repair", LIMITS)
    assert [sent_again(shard) for shard in bundle] == [["a"], ["b"]]
    assert len(taken) == 2


def test_rows_with_images_count_as_the_mean_row_of_their_shard(tmp_path: Path) -> None:
    fetched = [[expired(tmp_path, 0, "abcd", good("a"), images=6)]]
    _, ((first, second),) = prepare_repair(fetched, VENDOR, f"file://{tmp_path}/repair", LIMITS)
    assert (sent_again(first), first.images, first.estimated_tokens) == (["b", "c"], 4, 20)
    assert (sent_again(second), second.images, second.estimated_tokens) == (["d"], 2, 10)


def test_a_row_with_few_images_counts_as_one(tmp_path: Path) -> None:
    fetched = [[expired(tmp_path, 0, "abcd", images=1)]]
    _, ((first, _),) = prepare_repair(fetched, VENDOR, f"file://{tmp_path}/repair", LIMITS)
    assert first.images == 2


@pytest.mark.parametrize(("least", "rows"), [(1, ["a", "b"]), (2, ["a", "b"]), (3, [])])
def test_too_few_rows_for_a_job_keep_their_reasons(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, least: int, rows: list[str]
) -> None:
    landed = expired(tmp_path, 0, "abc", good("c"))
    taken, bundles = prepare_repair([[landed]], VENDOR, f"file://{tmp_path}/repair", replace_least(least))
    assert [row for bundle in bundles for shard in bundle for row in sent_again(shard)] == rows
    assert ("2 rows are too few for a job" in caplog.text) is not bool(rows)
    left = leave([landed], taken, VENDOR, f"file://{tmp_path}", "run")
    assert sum(rest.tally.failed for rest in left) == 2, "no round has landed them so far"


def replace_least(least: int) -> ShardLimits:
    return ShardLimits(requests=LIMITS.requests, bytes=LIMITS.bytes, least=least)


def test_a_shard_that_was_written_anew_has_other_rows_and_nothing_is_left_of_the_round(tmp_path: Path) -> None:
    landed = expired(tmp_path, 0, "ab")
    (tmp_path / "shard-0.jsonl").write_text(json.dumps(request("a", "text a")) + "\n")
    with pytest.raises(InputError, match=r"no longer has 1 of the rows that shard 0 handed on, e\.g\. 'b'"):
        prepare_repair([[landed]], VENDOR, f"file://{tmp_path}/repair", LIMITS)
    assert not (tmp_path / "repair").exists()


def test_a_row_that_no_shard_can_take_is_named_by_its_line(tmp_path: Path) -> None:
    landed = expired(tmp_path, 0, "ab", good("a"))
    with pytest.raises(BatchError, match=r"shard-0\.jsonl line 2"):
        prepare_repair([[landed]], VENDOR, f"file://{tmp_path}/repair", ShardLimits(requests=2, bytes=10))


def test_what_a_round_landed_is_not_left(tmp_path: Path) -> None:
    landed = expired(tmp_path, 0, "ab")
    taken, ((shard,),) = prepare_repair([[landed]], VENDOR, f"file://{tmp_path}/repair", LIMITS)
    again = replace(landed, job=replace(landed.job, shard=shard), repair=None)
    assert leave([landed, again], taken, VENDOR, f"file://{tmp_path}", "run") == []
