"""Answers that are odd on order: each as a client of the vendor sees it."""

from __future__ import annotations

import base64
import gzip
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cohere
import fastavro
import httpx
import numpy as np
import openai
import pytest
from botocore.exceptions import ClientError
from cohere.core.api_error import ApiError

from sandbox.fault_kinds import KINDS, SHAPES
from sandbox.odd_answers import put
from tests.contract.aws_jobs.cloud import BUCKET, Cloud, records, texts
from tests.contract.cluster import KEY, Cluster, row, rows
from tests.contract.conftest import Provider
from tests.contract.test_cohere import KEY as COHERE_KEY
from tests.contract.test_cohere import ROWS, finished, uploaded
from tests.patience import until


@pytest.fixture
def embedder(cluster: Cluster) -> cohere.Client:
    return cohere.Client(api_key=COHERE_KEY, base_url=cluster.url)


def api(cluster: Cluster, path: str, key: str = KEY) -> Any:
    return httpx.get(f"{cluster.url}/v1{path}", headers={"Authorization": f"Bearer {key}"}, trust_env=False)


def found_in(provider: Provider, file_id: str | None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in provider.lines(file_id)]


def vectors_in(provider: Provider, batch: openai.types.Batch) -> list[Any]:
    return [line["response"]["body"]["data"][0]["embedding"] for line in found_in(provider, batch.output_file_id)]


def chat(count: int) -> list[dict[str, Any]]:
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Why?"}]}
    return [
        {"custom_id": f"row-{n}", "method": "POST", "url": "/v1/chat/completions", "body": asked} for n in range(count)
    ]


def rows_of_dataset(embedder: cohere.Client, dataset_id: str | None) -> list[dict[str, Any]]:
    parts = embedder.datasets.get(str(dataset_id)).dataset.dataset_parts or []
    read = [httpx.get(str(part.url), trust_env=False).raise_for_status().content for part in parts]
    return [dict(each) for content in read for each in fastavro.reader(io.BytesIO(content))]  # type: ignore[arg-type]


# Sizes


@pytest.mark.parametrize(("size", "shown"), [(0, 0), (None, None), ("absent", "absent"), (3, 3)])
def test_wrong_size_of_a_file(cluster: Cluster, provider: Provider, size: Any, shown: Any) -> None:
    cluster.fault("wrong_size", size=size, times=3)
    made = provider.api.files.create(file=("input.jsonl", b"{}\n"), purpose="batch")
    told = [made.to_dict(), api(cluster, f"/files/{made.id}").json(), api(cluster, "/files").json()["data"][0]]
    assert [each.get("bytes", "absent") for each in told] == [shown] * 3
    assert provider.api.files.content(made.id).content == b"{}\n"
    assert provider.api.files.retrieve(made.id).bytes == 3


def test_wrong_size_of_a_dataset(cluster: Cluster, embedder: cohere.Client, tmp_path: Path) -> None:
    dataset_id = uploaded(embedder, ROWS, tmp_path)
    cluster.fault("wrong_size", size=0)
    (part,) = embedder.datasets.get(dataset_id).dataset.dataset_parts or []
    assert (part.size_bytes, part.num_rows) == (0, len(ROWS))


@pytest.mark.parametrize("size", [0, None, "absent"])
def test_wrong_size_of_an_object(cloud: Cloud, size: Any) -> None:
    cloud.put("in/a", b"content")
    cloud.order("wrong_size", size=size, times=2)
    assert cloud.s3.head_object(Bucket=BUCKET, Key="in/a").get("ContentLength") == (0 if size == 0 else None)
    if size is None:  # what botocore makes of an empty number
        with pytest.raises(ValueError, match="invalid literal"):
            cloud.s3.list_objects_v2(Bucket=BUCKET)
    else:
        (listed,) = cloud.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert listed.get("Size", "absent") == size
    assert cloud.get("in/a") == b"content"


# Files that come late, short, or not at all


def test_id_later(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("id_later", reads=2)
    batch_id = provider.start()
    looks = [provider.end(batch_id) for _ in range(3)]
    assert [look.status for look in looks] == ["completed"] * 3
    assert [look.output_file_id is None for look in looks] == [True, True, False]
    assert {look.request_counts.completed for look in looks if look.request_counts} == {5}


def test_id_later_of_an_embed_job(cluster: Cluster, embedder: cohere.Client, tmp_path: Path) -> None:
    cluster.fault("id_later")
    said: Any = {"model": "embed-english-v3.0", "input_type": "search_document"}
    made = embedder.embed_jobs.create(dataset_id=uploaded(embedder, ROWS, tmp_path), **said)
    job = until(lambda: embedder.embed_jobs.get(made.job_id), lambda job: job.status == "complete")
    assert job.output_dataset_id is None
    assert embedder.embed_jobs.get(job.job_id).output_dataset_id


def test_file_later(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("file_later", reads=2)
    batch = provider.end(provider.start())
    assert batch.output_file_id
    with pytest.raises(openai.NotFoundError):
        provider.api.files.retrieve(batch.output_file_id)
    with pytest.raises(openai.NotFoundError):
        provider.api.files.content(batch.output_file_id)
    assert len(provider.lines(batch.output_file_id)) == 5


def test_file_later_of_a_dataset(cluster: Cluster, embedder: cohere.Client, tmp_path: Path) -> None:
    cluster.fault("file_later")
    job = finished(embedder, uploaded(embedder, ROWS, tmp_path))
    with pytest.raises(ApiError, match="not found"):
        embedder.datasets.get(job.output_dataset_id)
    assert len(rows_of_dataset(embedder, job.output_dataset_id)) == len(ROWS)


def test_file_later_in_a_bucket(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(3))
    cloud.order("file_later", reads=2)
    cloud.transformed(cloud.transform())
    assert cloud.keys("out/") == []
    with pytest.raises(ClientError, match="404"):
        cloud.s3.head_object(Bucket=BUCKET, Key="out/a.jsonl.out")
    assert cloud.keys("out/") == ["out/a.jsonl.out"]
    assert len(cloud.lines("out/a.jsonl.out")) == 3


def test_rows_later(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("rows_later", count=2, reads=1)
    batch = provider.end(provider.start())
    assert batch.request_counts
    assert batch.request_counts.completed == 5
    early = provider.api.files.retrieve(str(batch.output_file_id)).bytes
    assert len(provider.lines(batch.output_file_id)) == 3
    assert provider.api.files.retrieve(str(batch.output_file_id)).bytes > early
    assert len(provider.lines(batch.output_file_id)) == 5


def test_rows_later_of_a_dataset(cluster: Cluster, embedder: cohere.Client, tmp_path: Path) -> None:
    cluster.fault("rows_later", count=4, reads=1)
    job = finished(embedder, uploaded(embedder, ROWS, tmp_path))
    counts = [len(rows_of_dataset(embedder, job.output_dataset_id)) for _ in range(2)]
    assert counts == [1, 5]


def test_rows_later_of_bedrock_for_ever(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(5))
    cloud.order("rows_later", count=2, reads=-1)
    job = cloud.invoked(arn := cloud.invocation())
    assert (job["status"], job["successRecordCount"]) == ("Completed", 5)
    assert [len(cloud.output(arn)) for _ in range(3)] == [3, 3, 3]


@pytest.mark.parametrize(
    ("which", "status", "error"), [("error", 404, openai.NotFoundError), ("output", 403, openai.PermissionDeniedError)]
)
def test_refuse_file(
    cluster: Cluster, provider: Provider, which: str, status: int, error: type[openai.APIStatusError]
) -> None:
    cluster.fault("fail_rows", count=2)
    cluster.fault("refuse_file", which=which, status=status)
    batch = provider.end(provider.start())
    ids = {"output": batch.output_file_id, "error": batch.error_file_id}
    for look in (provider.api.files.retrieve, provider.api.files.content):
        with pytest.raises(error):
            look(str(ids[which]))
    (other,) = {"output", "error"} - {which}
    assert len(provider.lines(ids[other])) == {"output": 3, "error": 2}[other]


def test_refuse_file_of_a_dataset_and_a_manifest(
    cluster: Cluster, cloud: Cloud, embedder: cohere.Client, tmp_path: Path
) -> None:
    cluster.fault("refuse_file", which="output", status=403)
    job = finished(embedder, uploaded(embedder, ROWS, tmp_path))
    with pytest.raises(ApiError, match="may not read"):
        embedder.datasets.get(job.output_dataset_id)
    cloud.put("in/a.jsonl", records(2))
    cloud.order("refuse_file", which="error", status=403)
    cloud.invoked(arn := cloud.invocation())
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.output(arn, "manifest.json.out")
    assert len(cloud.output(arn)) == 2


# Lists


@pytest.mark.parametrize("path", ["/files?limit=2", "/batches?limit=2"])
def test_repeat_page(cluster: Cluster, provider: Provider, path: str) -> None:
    for _ in range(3):
        provider.start(rows(1))
    cluster.fault("repeat_page")
    pages = [api(cluster, path).json()]
    for _ in range(4):
        pages.append(api(cluster, f"{path}&after={pages[-1]['last_id']}").json())
    assert {json.dumps(page["data"]) for page in pages} == {json.dumps(pages[0]["data"])}
    assert {page["has_more"] for page in pages} == {True}
    httpx.delete(f"{cluster.url}/_sandbox/faults", trust_env=False)
    assert api(cluster, f"{path}&after={pages[-1]['last_id']}").json()["data"] != pages[0]["data"]


def test_repeat_page_of_datasets(cluster: Cluster, embedder: cohere.Client, tmp_path: Path) -> None:
    dataset_id = uploaded(embedder, ROWS, tmp_path)
    cluster.fault("repeat_page")
    for offset in (0, 50, 100):
        page = embedder.datasets.list(limit=50, offset=offset).datasets or []
        assert [each.id for each in page] == [dataset_id] * 50


def test_repeat_page_of_aws(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(1))
    arn = cloud.invocation()
    name = cloud.transform()
    cloud.order("repeat_page")
    token: dict[str, str] = {}
    for _ in range(3):
        page = cloud.sagemaker.list_transform_jobs(**token)
        assert [job["TransformJobName"] for job in page["TransformJobSummaries"]] == [name]
        token = {"NextToken": page["NextToken"]}
    token = {}
    for _ in range(3):
        page = cloud.bedrock.list_model_invocation_jobs(**token)
        assert [job["jobArn"] for job in page["invocationJobSummaries"]] == [arn]
        token = {"nextToken": page["nextToken"]}
    pages = cloud.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="in/")
    keys = [each["Key"] for page, _ in zip(pages, range(5), strict=False) for each in page["Contents"]]
    assert keys == ["in/a.jsonl"] * 5


def test_no_has_more(cluster: Cluster, provider: Provider) -> None:
    provider.start()
    cluster.fault("no_has_more", times=2)
    assert "has_more" not in api(cluster, "/batches").json()
    assert "has_more" not in api(cluster, "/files").json()
    assert api(cluster, "/files").json()["has_more"] is False


def test_null_entry(cluster: Cluster, provider: Provider, embedder: cohere.Client, tmp_path: Path) -> None:
    provider.start()
    cluster.fault("null_entry", times=2)
    for path in ("/files", "/batches"):
        first, second = api(cluster, path).json()["data"]
        assert first["id"] == f"{second['id']}-null"
        assert {value for name, value in first.items() if name not in ("id", "object")} == {None}
    uploaded(embedder, ROWS, tmp_path)
    cluster.fault("null_entry")
    first, second = embedder.datasets.list().datasets or []
    assert (first.name, bool(second.name)) == (None, True)


# Shapes


BODIES: dict[str, Callable[[httpx.Response], bool]] = {
    "html": lambda answer: "Sign in" in answer.text and answer.headers["content-type"].startswith("text/html"),
    "empty": lambda answer: answer.content == b"",
    "null": lambda answer: answer.json() is None,
    "list": lambda answer: answer.json() == [],
    "text": lambda answer: answer.json() == "ok",
}


@pytest.mark.parametrize("shape", SHAPES["odd_body"])
def test_odd_body(cluster: Cluster, provider: Provider, cloud: Cloud, shape: str) -> None:
    batch_id = provider.start()
    cluster.fault("odd_body", **{"as": shape}, path="/v1/", times=2)
    for answer in (api(cluster, f"/batches/{batch_id}"), api(cluster, "/embed-jobs", COHERE_KEY)):
        assert answer.status_code == 200
        assert BODIES[shape](answer)
    cloud.order("odd_body", **{"as": shape}, path="/aws")
    assert BODIES[shape](cloud.plain("sagemaker", "sagemaker/ListTransformJobs", {}))
    assert cloud.plain("sagemaker", "sagemaker/ListTransformJobs", {}).json() == {"TransformJobSummaries": []}


def test_odd_body_is_the_answer_to_what_was_done(cluster: Cluster, provider: Provider) -> None:
    cluster.order("pace", {"pace": "polls:100"})
    batch_id = provider.start()
    cluster.fault("odd_body", **{"as": "html"}, path="/cancel$")
    provider.api.batches.cancel(batch_id)
    assert provider.api.batches.retrieve(batch_id).status == "cancelling"


def test_an_odd_body_leaves_errors_alone(cluster: Cluster) -> None:
    cluster.fault("odd_body", **{"as": "html"}, path="/v1/batches")
    assert api(cluster, "/batches/none").status_code == 404


@pytest.mark.parametrize(
    ("shape", "field", "value"),
    [
        ("error_text", "errors", "The model server went away."),
        ("error_texts", "errors", ["The model server went away.", "And again."]),
        ("time_text", "created_at", "2026-11-27T10:00:00Z"),
        ("no_time", "created_at", "soon"),
        ("usage_text", "usage", "n/a"),
        ("counts_text", "request_counts", "n/a"),
    ],
)
def test_odd_job(cluster: Cluster, provider: Provider, shape: str, field: str, value: Any) -> None:
    batch_id = provider.start()
    cluster.fault("odd_job", **{"as": shape}, times=2)
    assert api(cluster, f"/batches/{batch_id}").json()[field] == value
    assert api(cluster, "/batches").json()["data"][0][field] == value
    assert api(cluster, f"/batches/{batch_id}").json()[field] != value


def test_odd_job_through_the_cluster(cluster: Cluster, provider: Provider) -> None:
    task_id = cluster.submit(cluster.model(), provider.upload(rows(1)))["task_id"]
    cluster.fault("odd_job", **{"as": "usage_text"}, path="/v1/batches", times=-1)
    assert cluster.ok("GET", f"/tasks/{task_id}")["remote_job"]["usage"] == "n/a"


def test_odd_job_of_other_vendors(cluster: Cluster, cloud: Cloud, embedder: cohere.Client, tmp_path: Path) -> None:
    job = finished(embedder, uploaded(embedder, ROWS, tmp_path))
    cluster.fault("odd_job", **{"as": "usage_text"})
    assert api(cluster, f"/embed-jobs/{job.job_id}", COHERE_KEY).json()["meta"] == "n/a"
    cloud.put("in/a.jsonl", texts(1))
    cloud.order("fail_batch")
    cloud.transformed(name := cloud.transform())
    cloud.order("odd_job", **{"as": "error_texts"})
    assert cloud.described(name)["FailureReason"] == ["The model server went away."]
    cloud.order("odd_job", **{"as": "no_time"})
    with pytest.raises(ValueError, match="Invalid timestamp"):
        cloud.described(name)


def test_change_answer(cluster: Cluster, provider: Provider) -> None:
    batch_id = provider.start()
    cluster.fault("change_answer", path="/v1/batches$", drop=["data.*.usage"], set={"data.*.metadata.x": 1, "new": [2]})
    page = api(cluster, "/batches").json()
    assert "usage" not in page["data"][0]
    assert (page["data"][0]["metadata"], page["new"], page["data"][0]["id"]) == (None, [2], batch_id)


def test_put() -> None:
    said = {"a": [{"b": 1}, {"c": 2}, 3], "d": None}
    assert put(said, ["a", "*", "b"], 9) == {"a": [{"b": 9}, {"c": 2, "b": 9}, 3], "d": None}
    assert put(said, ["a", "*", "b"], 9, only_there=True) == {"a": [{"b": 9}, {"c": 2}, 3], "d": None}
    assert put(said, ["d", "e"], 9) == said
    assert put(said, ["x", "y"], 9) == said


# Keys


def test_refuse_key(cluster: Cluster, provider: Provider, cloud: Cloud, embedder: cohere.Client) -> None:
    cluster.fault("refuse_key", path="/v1/models", times=2)
    for _ in range(2):
        with pytest.raises(openai.AuthenticationError):
            provider.api.models.list()
    assert provider.api.models.list().data
    cluster.fault("refuse_key", status=403)
    with pytest.raises(ApiError, match="invalid api token"):
        embedder.embed_jobs.list()
    assert embedder.embed_jobs.list().embed_jobs == []
    cloud.order("refuse_key")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        cloud.sagemaker.list_transform_jobs()
    assert cloud.sagemaker.list_transform_jobs()["TransformJobSummaries"] == []


def test_refuse_key_for_some_time(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("refuse_key", times=-1, seconds=0.0)
    assert provider.api.models.list().data
    assert cluster.sandbox("faults") == []


# Rows


@pytest.mark.parametrize("shape", SHAPES["odd_rows"])
def test_odd_rows(cluster: Cluster, provider: Provider, shape: str) -> None:
    cluster.fault("odd_rows", **{"as": shape}, count=2)
    batch = provider.end(provider.start())
    odd = sorted(found_in(provider, batch.error_file_id), key=lambda line: str(line["custom_id"]))
    assert [line["custom_id"] for line in odd] == ["row-0", "row-1"]
    assert batch.request_counts
    assert (batch.request_counts.completed, batch.request_counts.failed) == (3, 2)
    assert len(provider.lines(batch.output_file_id)) == 3
    said = {name: odd[0][name] for name in ("response", "error")}
    assert said == {
        "status_0": {"response": {"status_code": 0, "request_id": "", "body": ""}, "error": None},
        "error_500": {"response": None, "error": {"code": 500}},
        "status_text": {"response": {"status_code": "503", "request_id": "", "body": {}}, "error": None},
        "nested_error": {
            "response": {
                "status_code": 400,
                "request_id": "",
                "body": {"error": {"error": {"message": "The prompt is too long for this model."}}},
            },
            "error": None,
        },
        "text_error": {
            "response": {"status_code": 400, "request_id": "", "body": None},
            "error": "The prompt is too long for this model.",
        },
    }.get(shape, {"response": None, "error": {"code": shape, "message": "The request was not answered in time."}})


@pytest.mark.parametrize("shape", SHAPES["odd_rows"])
def test_odd_rows_of_aws(cloud: Cloud, shape: str) -> None:
    cloud.put("in/a.jsonl", records(3))
    cloud.order("odd_rows", **{"as": shape})
    job = cloud.invoked(arn := cloud.invocation())
    assert (job["successRecordCount"], job["errorRecordCount"]) == (2, 1)
    (odd,) = (line for line in cloud.output(arn) if "error" in line)
    assert odd["recordId"] == "record00000"
    cloud.put("in/a.jsonl", texts(3))
    cloud.order("odd_rows", **{"as": shape})
    cloud.transformed(cloud.transform())
    first, *others = cloud.lines("out/a.jsonl.out")
    assert "error" in first["SageMakerOutput"]
    assert all(isinstance(line["SageMakerOutput"], list) for line in others)


# Vectors and texts


@pytest.mark.parametrize(
    ("shape", "vector"),
    [("wide", 16), ("null", [None] * 8), ("zero", [0.0] * 8), ("empty", [])],
)
def test_odd_vectors(cluster: Cluster, provider: Provider, shape: str, vector: Any) -> None:
    cluster.fault("odd_vectors", **{"as": shape})
    found = vectors_in(provider, provider.end(provider.start(rows(3, dimensions=8))))
    assert [len(each) if shape == "wide" else each for each in found] == [vector] * 3


def test_odd_vectors_of_the_first_line_of_the_file(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("odd_vectors", **{"as": "wide"}, count=1)
    found = vectors_in(provider, provider.end(provider.start(rows(5, dimensions=8))))
    assert [len(each) for each in found] == [16, 8, 8, 8, 8]


def test_nan_in_base64_and_as_a_word(cluster: Cluster, provider: Provider) -> None:
    cluster.fault("odd_vectors", **{"as": "nan"}, times=2)
    coded = vectors_in(provider, provider.end(provider.start(rows(2, dimensions=8, encoding_format="base64"))))
    assert all(np.isnan(np.frombuffer(base64.b64decode(each), dtype="<f4")).all() for each in coded)
    batch = provider.end(provider.start([row("a", "text", dimensions=2)]))
    assert '"embedding":[NaN,NaN]' in provider.lines(batch.output_file_id)[0]


@pytest.mark.parametrize(
    ("shape", "holds"), [("nan", math.isnan), ("zero", lambda x: x == 0), ("null", lambda x: x is None)]
)
def test_odd_vectors_in_avro(
    cluster: Cluster, embedder: cohere.Client, tmp_path: Path, shape: str, holds: Callable[[Any], bool]
) -> None:
    cluster.fault("odd_vectors", **{"as": shape}, count=2)
    job = finished(embedder, uploaded(embedder, ROWS, tmp_path))
    found = [each["embeddings"]["float"] for each in rows_of_dataset(embedder, job.output_dataset_id)]
    assert [all(map(holds, vector)) for vector in found] == [True, True, False, False, False]


@pytest.mark.parametrize("shape", ["wide", "null", "zero", "empty"])
def test_odd_vectors_of_aws(cloud: Cloud, shape: str) -> None:
    def is_odd(vector: list[Any]) -> bool:
        if shape == "wide":
            return len(vector) == 512
        return not any(vector)

    cloud.put("in/a.jsonl", records(3))
    cloud.order("odd_vectors", **{"as": shape}, count=1)
    cloud.invoked(arn := cloud.invocation())
    assert [is_odd(line["modelOutput"]["embedding"]) for line in cloud.output(arn)] == [True, False, False]
    cloud.put("in/a.jsonl", texts(3))
    cloud.order("odd_vectors", **{"as": shape}, count=1)
    cloud.transformed(cloud.transform())
    assert [is_odd(line["SageMakerOutput"][0]) for line in cloud.lines("out/a.jsonl.out")] == [True, False, False]


def test_odd_texts_of_chats(cluster: Cluster, provider: Provider) -> None:
    for shape in SHAPES["odd_texts"]:
        cluster.fault("odd_texts", **{"as": shape})
        file_id = provider.upload(chat(1))
        made = provider.api.batches.create(
            input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        (line,) = found_in(provider, provider.end(made.id).output_file_id)
        choice = line["response"]["body"]["choices"][0]
        kinds = [part["type"] for part in choice["message"]["content"] if isinstance(part, dict)]
        assert (kinds, choice["finish_reason"]) == {
            "parts": (["thinking", "text", "text"], "stop"),
            "thoughts": (["thinking"], "stop"),
            "length": ([], "length"),
        }[shape]


@pytest.mark.parametrize(
    ("model", "ended"),
    [("anthropic.claude-3-haiku-20240307-v1:0", "stop_reason"), ("us.amazon.nova-lite-v1:0", "stopReason")],
)
def test_odd_texts_of_bedrock(cloud: Cloud, model: str, ended: str) -> None:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "Why?"}]}]}
    asked |= {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9}
    cloud.put("in/a.jsonl", [{"recordId": "r", "modelInput": asked}])
    for shape in SHAPES["odd_texts"]:
        cloud.order("odd_texts", **{"as": shape})
        cloud.invoked(arn := cloud.invocation(modelId=model))
        (line,) = cloud.output(arn)
        said = line["modelOutput"]
        content = said["content"] if "content" in said else said["output"]["message"]["content"]
        assert line["modelInput"] == asked
        assert len(content) == {"parts": 2, "thoughts": 1, "length": 1}[shape]
        assert ("text" in content[0]) == (shape == "length")
        assert said[ended] == ("max_tokens" if shape == "length" else "end_turn")


# Downloads


def test_gzip_download(cluster: Cluster, provider: Provider, embedder: cohere.Client, tmp_path: Path) -> None:
    job = finished(embedder, uploaded(embedder, ROWS, tmp_path))
    (part,) = embedder.datasets.get(job.output_dataset_id).dataset.dataset_parts or []
    cluster.fault("gzip_download", times=2)
    with httpx.stream("GET", str(part.url), trust_env=False) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    plain = httpx.get(str(part.url), headers={"Accept-Encoding": "identity"}, trust_env=False)
    assert gzip.decompress(raw) == plain.content
    assert len(plain.content) == part.size_bytes
    file_id = provider.upload_bytes(b"{}\n" * 100)
    assert provider.api.files.content(file_id).content == b"{}\n" * 100
    assert cluster.sandbox("faults") == []


@pytest.mark.parametrize(
    "order",
    [
        {"fault": "odd_rows", "as": "nonsense"},
        {"fault": "odd_body"},
        {"fault": "refuse_file", "which": "both"},
        {"fault": "id_later", "reads": "two"},
    ],
)
def test_a_wrong_order_is_refused(cluster: Cluster, order: dict[str, Any]) -> None:
    assert cluster.call("POST", "/_sandbox/faults", order)[0] == 400


def test_every_kind_says_what_it_does() -> None:
    assert all(kind.does.endswith(".") for kind in KINDS.values())
