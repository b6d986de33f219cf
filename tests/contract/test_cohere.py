"""The official Cohere SDK against the sandbox: datasets, embed jobs, embeddings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cohere
import httpx
import pytest
from cohere.core.api_error import ApiError

from sandbox.server import Sandbox

KEY = "co-sandbox-not-a-secret"
ROWS = [{"id": f"r{n}", "text": f"text number {n}"} for n in range(5)]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "box") as box:
        yield box


@pytest.fixture
def client(box: Sandbox) -> cohere.Client:
    return cohere.Client(api_key=KEY, base_url=box.url)


def uploaded(client: cohere.Client, rows: list[dict[str, Any]], tmp_path: Path, **options: Any) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with path.open("rb") as data:
        made = client.datasets.create(name="rows", type="embed-input", data=data, **options)
    assert made.id
    return str(made.id)


def finished(client: cohere.Client, dataset_id: str, **options: Any) -> Any:
    said = {"model": "embed-english-v3.0", "input_type": "search_document", **options}
    job = client.embed_jobs.create(dataset_id=dataset_id, **said)
    return client.wait(client.embed_jobs.get(job.job_id), timeout=30, interval=0.05)


def test_a_dataset_becomes_vectors_in_its_order(client: cohere.Client, tmp_path: Path) -> None:
    dataset_id = uploaded(client, ROWS, tmp_path, keep_fields=["id"])
    dataset = client.datasets.get(dataset_id).dataset
    assert (dataset.validation_status, dataset.preserve_fields) == ("validated", ["id"])
    job = finished(client, dataset_id)
    assert (job.status, job.input_dataset_id) == ("complete", dataset_id)
    client.utils.save_dataset(client.datasets.get(job.output_dataset_id).dataset, str(tmp_path / "out.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["id"], row["text"]) for row in rows] == [(row["id"], row["text"]) for row in ROWS]
    online = client.embed(texts=[ROWS[3]["text"]], model="embed-english-v3.0", input_type="search_document")
    assert isinstance(online.embeddings, list)
    assert rows[3]["embeddings"]["float"] == pytest.approx(online.embeddings[0], abs=1e-6)


def test_thousands_of_rows_come_in_several_parts(client: cohere.Client, tmp_path: Path) -> None:
    rows = [{"text": f"text number {n}"} for n in range(4500)]
    job = finished(client, uploaded(client, rows, tmp_path))
    parts = client.datasets.get(job.output_dataset_id).dataset.dataset_parts
    assert parts
    assert [part.num_rows for part in parts] == [2000, 2000, 500]


def test_wrong_rows_fail_the_validation_with_their_lines(client: cohere.Client, tmp_path: Path) -> None:
    dataset_id = uploaded(client, [ROWS[0], {"text": " "}, {"id": "x"}], tmp_path)
    dataset = client.datasets.get(dataset_id).dataset
    assert dataset.validation_status == "failed"
    assert dataset.validation_error == (
        "2 invalid rows: line 2: the field 'text' is empty; line 3: the field 'text' is missing or not a string"
    )
    with pytest.raises(ApiError, match="is not validated"):
        client.embed_jobs.create(model="embed-english-v3.0", dataset_id=dataset_id, input_type="search_document")


@pytest.mark.parametrize(
    ("options", "told"),
    [({"model": "embed-v4.0"}, "model 'embed-v4.0' not found"), ({"dataset_id": "none"}, "dataset with id none")],
)
def test_what_a_job_cannot_have_is_refused(
    client: cohere.Client, tmp_path: Path, options: dict[str, str], told: str
) -> None:
    said = {"model": "embed-english-v3.0", "dataset_id": uploaded(client, ROWS, tmp_path), **options}
    with pytest.raises(ApiError, match=told):
        client.embed_jobs.create(input_type="search_document", **said)


def validated_slowly(client: cohere.Client, box: Sandbox, dataset_id: str) -> None:
    """The pace stands before a job begins: at once, a job ends before the next call."""
    httpx.post(f"{box.url}/_sandbox/pace", json={"pace": "polls:2"}).raise_for_status()
    while client.datasets.get(dataset_id).dataset.validation_status != "validated":
        continue


def test_a_running_job_is_cancelled(client: cohere.Client, box: Sandbox, tmp_path: Path) -> None:
    dataset_id = uploaded(client, ROWS, tmp_path)
    validated_slowly(client, box, dataset_id)
    job = client.embed_jobs.create(model="embed-english-v3.0", dataset_id=dataset_id, input_type="clustering")
    client.embed_jobs.cancel(job.job_id)
    assert client.embed_jobs.get(job.job_id).status == "cancelling"
    looks = [client.embed_jobs.get(job.job_id) for _ in range(4)]
    assert (looks[-1].status, looks[-1].output_dataset_id) == ("cancelled", None)
    with pytest.raises(ApiError, match="cannot be cancelled"):
        client.embed_jobs.cancel(job.job_id)


def test_lists_usage_and_deletion(client: cohere.Client, tmp_path: Path) -> None:
    first, second = uploaded(client, ROWS, tmp_path), uploaded(client, ROWS, tmp_path)
    assert [each.id for each in client.datasets.list(dataset_type="embed-input").datasets or []] == [second, first]
    assert [each.id for each in client.datasets.list(limit=1, offset=1).datasets or []] == [first]
    before = client.datasets.get_usage().organization_usage
    client.datasets.delete(first)
    after = client.datasets.get_usage().organization_usage
    assert before
    assert after == before / 2
    with pytest.raises(ApiError, match="not found"):
        client.datasets.get(first)
    job = finished(client, second)
    assert [each.job_id for each in client.embed_jobs.list().embed_jobs or []] == [job.job_id]


def test_a_job_goes_on_after_a_restart(client: cohere.Client, box: Sandbox, tmp_path: Path) -> None:
    dataset_id = uploaded(client, ROWS, tmp_path)
    validated_slowly(client, box, dataset_id)
    job = client.embed_jobs.create(model="embed-english-v3.0", dataset_id=dataset_id, input_type="search_document")
    box.stop()
    box.start()
    ended = client.wait(client.embed_jobs.get(job.job_id), timeout=30, interval=0.01)
    assert ended.status == "complete"


def test_a_wrong_key_is_refused(box: Sandbox) -> None:
    with pytest.raises(ApiError, match="invalid api token"):
        cohere.Client(api_key="co-wrong", base_url=box.url).datasets.list()
