"""Bundles: several shards in one task, side by side, over the real clients."""

from __future__ import annotations

import pytest

from opensearch_batch.errors import Unavailable
from tests.sandbox.bench import Run, Server, rows_of


def test_a_bundle_of_thirty_shards_comes_back_whole_and_in_order(server: Server, model_id: str, run: Run) -> None:
    bundle = run.prepare(rows_of(60), max_requests=2)
    jobs = run.submit(model_id, bundle)
    assert [job["shard"]["index"] for job in jobs] == list(range(30))
    fetched = run.fetch(run.wait(jobs))
    assert [part["job"]["shard"]["index"] for part in fetched["landed"]] == list(range(30))
    assert (fetched["report"]["answered"], fetched["report"]["missing"]) == (60, 0)
    assert len(server.ledger) == 30
    assert set(run.landed("results")) == {f"row-{n}" for n in range(60)}


def test_what_failed_of_a_bundle_is_submitted_by_the_retry_and_the_rest_is_not_sent_again(
    server: Server, model_id: str, run: Run
) -> None:
    bundle = run.prepare(rows_of(12), max_requests=2)
    server.ask(
        "POST",
        "/_sandbox/faults",
        {"fault": "answer", "path": "^/v1/files$", "method": "POST", "status": 503, "times": 2},
    )
    with pytest.raises(Unavailable, match=r"^2 of 6: shard \d: upload .*HTTP 503.*; shard \d: upload"):
        run.submit(model_id, bundle)
    submitted = {job["id"] for job in server.ledger}
    assert len(submitted) == 4
    jobs = run.submit(model_id, bundle)
    assert len(server.ledger) == 6
    assert submitted < {job["provider_job_id"] for job in jobs}


def test_a_download_that_stops_for_good_is_named_and_the_others_have_landed(
    server: Server, model_id: str, run: Run
) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(8), max_requests=2)))
    broken = outcomes[1]["outputs"][0]
    server.ask(
        "POST", "/_sandbox/faults", {"fault": "answer", "path": f"^/v1/files/{broken}", "status": 503, "times": -1}
    )
    with pytest.raises(Unavailable, match=rf"^1 of 4: shard 1, job .*{broken}.*HTTP 503"):
        run.fetch(outcomes)
    assert [name.split("-")[2] for name in run.files()] == ["00000", "00002", "00003"]
    server.ask("DELETE", "/_sandbox/faults")
    assert run.fetch(outcomes)["report"]["answered"] == 8
