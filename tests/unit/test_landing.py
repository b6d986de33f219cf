"""Landing: rows sent and their answers become results and failures, of a shard of the input or of a job alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from opensearch_batch import providers
from opensearch_batch.errors import BatchError, Refused, Unavailable
from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land import landing
from opensearch_batch.land.landing import SOON_SECONDS, Sent, Target, land_answers
from opensearch_batch.land.reconcile import Fate, Tally
from tests.unit.test_reconcile import bad, good

KEY = "batch-0123456789abcdef"


def land(folder: Path, shard: Shard | None, *lines: bytes) -> Landed:
    """Land what was asked for the rows a and b."""
    job = Job(KEY, 1, "batch_1", "file-1", "task-1", "model-1", shard)
    target = Target(f"file://{folder}", "run")
    return land_answers(Sent(job, ["a", "b"], None), lines, providers.DEFAULT, Fate(), Tally(), target)


def results_of(landed: Landed) -> dict[str, dict[str, Any]]:
    assert landed.results
    lines = Path(landed.results.uri.removeprefix("file://")).read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def test_a_job_without_a_shard_lands_by_itself(tmp_path: Path) -> None:
    landed = land(tmp_path, None, good("a"), bad("b"))
    assert (landed.records, landed.answered, landed.failed, landed.missing) == (2, 1, 1, 0)
    assert (landed.input_tokens, landed.output_tokens) == (0, 0)
    assert landed.repair is None
    assert landed.results
    assert f"/results-run-{KEY[-12:]}-" in landed.results.uri, "so much of the key tells jobs apart"
    assert list(results_of(landed)) == ["a"]


def test_a_shards_twins_land_with_their_rows_answer(tmp_path: Path) -> None:
    fields = tmp_path / "fields.jsonl"
    fields.write_text('["a",{"title":"A"}]\n["c",{"title":"C"},"a"]\n["b",{"title":"B"}]\n')
    shard = Shard(0, f"file://{tmp_path}/shard.jsonl", "", 2, 0, 0, fields_uri=f"file://{fields}", twins=1)
    landed = land(tmp_path, shard, good("a", 0.5), good("b", 0.25))
    assert (landed.records, landed.answered) == (3, 3)
    assert landed.results
    assert "/results-run-00000-" in landed.results.uri
    found = results_of(landed)
    assert {id: (row["title"], row["embedding"]) for id, row in found.items()} == {
        "a": ("A", [0.5]),
        "b": ("B", [0.25]),
        "c": ("C", [0.5]),
    }


class Store:
    """The files of a job that was made by parameters alone. `told` is the usage that the provider tells."""

    def __init__(self, *answers: bytes, told: Usage | BatchError | None = None) -> None:
        self._answers, self._told = answers, told

    def lines(self, file_id: str) -> Iterator[bytes]:
        return iter([b'{"custom_id":"a"}\n', b"\n", b'{"custom_id":"b"}'])

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        return iter(self._answers)

    def usage(self, outcome: Outcome) -> Usage | None:
        if isinstance(self._told, BatchError):
            raise self._told
        return self._told


JOB = Job(KEY, 1, "batch_1", "file-1", "task-1", "model-1")
ENDED = Outcome(JOB, "completed", "completed", ["file-o"], 2, 2, 0, 0, 0)


def fetched(folder: Path, store: Any, outcome: Outcome = ENDED) -> Landed:
    return landing.land(outcome, store, providers.DEFAULT, f"file://{folder}", "run")


@pytest.mark.parametrize(
    ("outcome", "answers", "level"),
    [
        (ENDED, (good("a"), good("b")), "INFO"),
        (replace(ENDED, requests_done=1, requests_failed=1), (good("a"), bad("b")), "WARNING"),
        (replace(ENDED, requests_done=1), (good("a"),), "WARNING"),
        (replace(ENDED, state="cancelled"), (good("a"), good("b")), "WARNING"),
    ],
    ids=["all answered", "one failed", "one missing", "cancelled"],
)
def test_a_job_that_did_not_answer_all_ends_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, outcome: Outcome, answers: tuple[bytes, ...], level: str
) -> None:
    caplog.set_level("INFO", logger=landing.__name__)
    fetched(tmp_path, Store(*answers), outcome)
    assert caplog.records[0].levelname == level
    assert "ended completed: " in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    ("answers", "outcome", "said"),
    [
        ((good("a"), good("b"), good("a")), ENDED, ["1 duplicate, 0 foreign, 0 unreadable lines"]),
        ((good("a"), good("b"), good("stranger")), ENDED, ["0 duplicate, 1 foreign, 0 unreadable lines"]),
        ((good("a"), good("b"), b"cut"), ENDED, ["0 duplicate, 0 foreign, 1 unreadable lines (line 3: "]),
        ((good("a"), good("b")), replace(ENDED, error_code="odd", error_message="words"), [": odd: words"]),
        ((good("a"), good("b")), ENDED, []),
    ],
    ids=["twice", "a stranger's", "cut", "with an error", "as asked for"],
)
def test_what_is_odd_about_a_jobs_files_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answers: tuple[bytes, ...], outcome: Outcome, said: list[str]
) -> None:
    caplog.set_level("INFO", logger=landing.__name__)
    fetched(tmp_path, Store(*answers), outcome)
    told = [record.getMessage() for record in caplog.records[1:]]
    assert len(told) == len(said)
    assert all(part in text for part, text in zip(said, told, strict=True))


@pytest.mark.parametrize(
    ("store", "job", "tokens"),
    [
        (Store(good("a"), good("b")), JOB, (6, 0)),
        (Store(good("a"), good("b"), told=Usage(100, 7)), JOB, (100, 7)),
        (Store(good("a"), good("b"), told=Usage(0, 7)), JOB, (6, 7)),
        (Store(good("a"), good("b"), told=Unavailable("HTTP 503")), JOB, (6, 0)),
        (Store(good("a"), good("b"), told=Usage(100, 7)), replace(JOB, shared_with="another/run"), (0, 0)),
    ],
    ids=["counted from the answers", "told by the provider", "told in part", "not to be read", "paid by another run"],
)
def test_the_usage_is_the_providers_and_else_that_of_the_answers(
    tmp_path: Path, store: Store, job: Job, tokens: tuple[int, int]
) -> None:
    landed = fetched(tmp_path, store, replace(ENDED, job=job))
    assert (landed.input_tokens, landed.output_tokens) == tokens


@pytest.mark.parametrize("answers", [(good("a"),), (good("a"), bad("b"))], ids=["no line", "a refused row"])
def test_files_with_fewer_answers_than_the_job_tells_are_read_again_and_nothing_lands(
    tmp_path: Path, answers: tuple[bytes, ...]
) -> None:
    with pytest.raises(Unavailable, match="says 2 requests are answered, and its files have 1 answers"):
        fetched(tmp_path, Store(*answers))
    assert list(tmp_path.iterdir()) == []


def failed(row_id: str) -> bytes:
    """A failed response of /v1/responses, which comes with status 200 and counts as completed."""
    body = {"status": "failed", "error": {"code": "server_error", "message": "The model failed."}, "output": []}
    return json.dumps({"custom_id": row_id, "response": {"status_code": 200, "body": body}}).encode()


def test_an_error_in_an_answer_with_status_200_is_among_the_answers_that_the_job_tells(tmp_path: Path) -> None:
    """The other row is paid for, and lands."""
    landed = fetched(tmp_path, Store(good("a"), failed("b")))
    assert (landed.answered, landed.failed, landed.missing) == (1, 1, 0)
    assert landed.codes == {"server_error": 1}
    assert list(results_of(landed)) == ["a"]


@pytest.mark.parametrize(("seconds", "error"), [(60, Unavailable), (SOON_SECONDS + 60, Refused)])
def test_a_file_that_is_not_there_may_be_yet_to_come_soon_after_the_end(
    tmp_path: Path, seconds: float, error: type[BatchError]
) -> None:
    class Lagging(Store):
        def answers(self, outcome: Outcome) -> Iterator[bytes]:
            raise Refused("HTTP 404: no such file", status=404)
            yield b""

    with pytest.raises(error, match="no such file"):
        fetched(tmp_path, Lagging(), replace(ENDED, seen_at=time.time() - seconds))
