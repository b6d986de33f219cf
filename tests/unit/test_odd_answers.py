"""What vendors say, spoiled in every way that is still JSON, through every reader of it."""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch_batch.errors import BatchError
from opensearch_batch.flow.answers import Answer
from opensearch_batch.flow.jobs import ENDED, RemoteJob, ended, is_spent
from opensearch_batch.land.reconcile import Failure, Fate, Tally, join
from opensearch_batch.prepare.grouping import group_name
from opensearch_batch.providers.bedrock import provider as bedrock
from opensearch_batch.providers.cohere import provider as cohere
from opensearch_batch.providers.openai import provider as openai
from opensearch_batch.providers.protocol import UnreadableLine
from opensearch_batch.providers.sagemaker import provider as sagemaker
from tests import spoiling
from tests.spoiling import spoiled

bounded = spoiling.bounded(30)

# Jobs

ARN = "arn:aws:sagemaker:us-east-1:123456789012:transform-job/batch-1"
BEDROCK_ARN = "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abcdefghijkl"
BATCH = {
    "id": "batch_1",
    "object": "batch",
    "endpoint": "/v1/embeddings",
    "model": "text-embedding-3-small-2024-01-25",
    "errors": None,
    "input_file_id": "file-in",
    "completion_window": "24h",
    "status": "completed",
    "output_file_id": "file-out",
    "error_file_id": "file-err",
    "created_at": 1764000000,
    "completed_at": 1764000100,
    "request_counts": {"total": 3, "completed": 2, "failed": 1},
    "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0, "total_tokens": 9},
    "metadata": {"key": "k"},
}
REFUSED = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached.", "param": None, "line": 4}
FAILED_BATCH = BATCH | {
    "status": "failed",
    "output_file_id": None,
    "error_file_id": None,
    "errors": {"object": "list", "data": [REFUSED]},
    "request_counts": {"total": 0, "completed": 0, "failed": 0},
}
TRANSFORM = {
    "TransformJobName": "batch-1",
    "TransformJobArn": ARN,
    "TransformJobStatus": "Completed",
    "ModelName": "embedder",
    "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/batch-1/in/"}}},
    "TransformOutput": {"S3OutputPath": "s3://b/batch-1/out/"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
    "CreationTime": 1764000000.25,
    "TransformStartTime": 1764000010.0,
    "TransformEndTime": 1764000110.5,
    "OutputFiles": 3,
}
FAILED_TRANSFORM = TRANSFORM | {"TransformJobStatus": "Failed", "FailureReason": "ClientError: See job logs"}
INVOCATION = {
    "jobArn": BEDROCK_ARN,
    "jobName": "batch-1",
    "modelId": "amazon.titan-embed-text-v2:0",
    "status": "Completed",
    "submitTime": "2026-11-27T10:00:00.250Z",
    "endTime": 1764000100.0,
    "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://b/batch-1/in/", "s3InputFormat": "JSONL"}},
    "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://b/batch-1/out/"}},
    "totalRecordCount": 3,
    "processedRecordCount": 3,
    "successRecordCount": 2,
    "errorRecordCount": 1,
    "OutputFiles": 1,
}
FAILED_INVOCATION = INVOCATION | {"status": "Failed", "message": "Could not read the input."}
EMBED_JOB = {
    "job_id": "job-1",
    "name": "batch-1",
    "status": "complete",
    "created_at": "2026-11-27T10:00:00.250000+00:00",
    "input_dataset_id": "rows-1",
    "output_dataset_id": "embeds-1",
    "model": "embed-english-v3.0",
    "truncate": "END",
    "meta": {"api_version": {"version": "1"}, "billed_units": {"input_tokens": 9}},
}
JOBS: list[tuple[ModuleType, dict[str, Any]]] = [
    (openai, BATCH),
    (openai, BATCH | {"status": "in_progress", "output_file_id": None, "error_file_id": None}),
    (openai, FAILED_BATCH),
    (sagemaker, TRANSFORM),
    (sagemaker, FAILED_TRANSFORM),
    (bedrock, INVOCATION),
    (bedrock, FAILED_INVOCATION),
    (cohere, EMBED_JOB),
    (cohere, EMBED_JOB | {"status": "failed", "output_dataset_id": None}),
]


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def check_job(remote: RemoteJob) -> None:
    assert isinstance(remote.id, str)
    assert remote.id
    assert remote.state in {"running", "cancelling", "settling", *ENDED}
    assert isinstance(remote.status, str)
    assert all(isinstance(each, str) and each for each in remote.outputs)
    assert is_count(remote.requests_total)
    assert is_count(remote.requests_done)
    assert is_count(remote.requests_failed)
    assert is_count(remote.usage.input_tokens)
    assert is_count(remote.usage.output_tokens)
    assert math.isfinite(remote.usage.instance_seconds)
    assert remote.created_at is None or (isinstance(remote.created_at, float) and math.isfinite(remote.created_at))
    assert is_text_or_none(remote.error_code)
    assert is_text_or_none(remote.error_message)
    assert is_text_or_none(remote.model)


@pytest.mark.parametrize(("vendor", "document"), JOBS, ids=lambda value: getattr(value, "NAME", None))
def test_a_job_is_read_or_refused(vendor: Any, document: dict[str, Any]) -> None:
    @bounded
    @given(spoiled(document))
    def check(said: Any) -> None:
        try:
            remote = vendor.read_job(said)
        except BatchError:
            return
        check_job(remote)
        if ended(remote) and remote.state == "completed":
            assert remote.outputs or (remote.requests_failed and not remote.requests_done), "rows would be paid again"
        if is_spent(remote):
            assert remote.state != "completed" or remote.requests_failed, "not from what cannot be read"
        orjson.dumps([remote.requests_total, remote.created_at, remote.error_message, list(remote.outputs)])

    check()


FUNCTIONS = ("job_id", "input_file_id")


@pytest.mark.parametrize(("vendor", "document"), JOBS, ids=lambda value: getattr(value, "NAME", None))
def test_the_ids_of_a_job_are_texts_or_not_there(vendor: Any, document: dict[str, Any]) -> None:
    @bounded
    @given(spoiled(document))
    def check(said: Any) -> None:
        for name in FUNCTIONS:
            try:
                assert is_text_or_none(getattr(vendor, name)(said))
            except BatchError:
                continue

    check()


# Lines

TWO = [0.5, -0.25]
CODED = base64.b64encode(array("f", TWO).tobytes()).decode()


def line(body: Any, row: str, status: int = 200, error: Any = None) -> dict[str, Any]:
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "batch_req_1", "custom_id": row, "response": response, "error": error}


def embedding(vector: Any) -> dict[str, Any]:
    entry = {"object": "embedding", "index": 0, "embedding": vector}
    return {"object": "list", "data": [entry], "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}}


CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
PARTS = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}]
CHAT_OF_PARTS = CHAT | {"choices": [{"index": 0, "message": {"role": "assistant", "content": PARTS}}]}
RESPONSE = {
    "id": "resp_1",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Yes."}]}],
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
ERROR = {"error": {"message": "Too long.", "type": "invalid_request_error", "param": None, "code": "too_long"}}
TITAN = {"embedding": TWO, "embeddingsByType": {"float": TWO}, "inputTextTokenCount": 3}
BY_TYPE = {"embeddings": {"float": [TWO]}, "id": "1", "response_type": "embeddings_by_type", "texts": ["t"]}
CLAUDE = {"content": [{"type": "text", "text": "Yes."}], "stop_reason": "end_turn", "usage": {"input_tokens": 3}}
NOVA = {
    "output": {"message": {"content": [{"text": "Yes."}], "role": "assistant"}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 2},
}
BAD = {"errorCode": 400, "errorMessage": "Malformed input request."}


def record(output: Any, row: str) -> dict[str, Any]:
    return {"recordId": bedrock.record_id(row), "modelInput": {"inputText": "t"}, "modelOutput": output}


def refused_record(error: Any, row: str) -> dict[str, Any]:
    return {"recordId": bedrock.record_id(row), "modelInput": {"inputText": "t"}, "error": error}


def joined(output: Any, row: str) -> dict[str, Any]:
    return {"id": row, "input": {"inputs": "t"}, "SageMakerOutput": output}


VECTOR_LINES: list[tuple[ModuleType, Any]] = [
    (openai, lambda row: line(embedding(TWO), row)),
    (openai, lambda row: line(embedding(CODED), row)),
    (openai, lambda row: line(json.dumps(embedding(TWO)), row)),
    (openai, lambda row: line(ERROR, row, 400)),
    (openai, lambda row: line(None, row, 0, {"code": "batch_expired", "message": "Not run."})),
    (bedrock, lambda row: record(TITAN, row)),
    (bedrock, lambda row: record(BY_TYPE, row)),
    (bedrock, lambda row: refused_record(BAD, row)),
    (sagemaker, lambda row: joined([TWO], row)),
    (sagemaker, lambda row: joined({"embedding": TWO}, row)),
    (sagemaker, lambda row: joined({"error": "Out of memory.", "code": 500}, row)),
    (sagemaker, lambda row: {"id": row, "refused": {"code": "ClientError", "message": "See logs", "rows": 3}}),
    (cohere, lambda row: {"id": row, "embedding": TWO}),
]
TEXT_LINES: list[tuple[ModuleType, Any]] = [
    (openai, lambda row: line(CHAT, row)),
    (openai, lambda row: line(CHAT_OF_PARTS, row)),
    (openai, lambda row: line(RESPONSE, row)),
    (openai, lambda row: line(ERROR, row, 400)),
    (bedrock, lambda row: record(CLAUDE, row)),
    (bedrock, lambda row: record(NOVA, row)),
    (sagemaker, lambda row: joined([{"generated_text": "Yes."}], row)),
]


def check_answer(answer: Answer) -> None:
    assert isinstance(answer.id, str)
    assert is_text_or_none(answer.output)
    assert isinstance(answer.code, str)
    assert isinstance(answer.message, str)
    assert answer.answered != bool(answer.code)
    assert is_count(answer.usage.input_tokens)
    assert is_count(answer.usage.output_tokens)


@pytest.mark.parametrize(("vendor", "made"), VECTOR_LINES + TEXT_LINES, ids=lambda value: getattr(value, "NAME", None))
def test_a_line_is_read_or_unreadable(vendor: Any, made: Any) -> None:
    @bounded
    @given(spoiled(made("row-1")))
    def check(said: Any) -> None:
        try:
            answer = vendor.read_line(json.dumps(said).encode())
        except UnreadableLine:
            return
        check_answer(answer)

    check()


def numbers_of(answer: Answer) -> list[Any]:
    return list(answer.vector) if isinstance(answer.vector, array) else orjson.loads(answer.vector or b"[]")


IDS = ("row-0", "row-1", "row-2")


def check_rows(found: list[Answer | Failure], tally: Tally, ids: tuple[str, ...]) -> None:
    assert sorted(row.id for row in found) == sorted(ids), "each row once, and no other"
    assert tally.answered + tally.failed + tally.missing == len(ids)
    assert tally.answered == sum(isinstance(row, Answer) for row in found)
    for row in found:
        if isinstance(row, Failure):
            assert row.code
            assert isinstance(row.message, str)


@pytest.mark.parametrize(("vendor", "made"), VECTOR_LINES, ids=lambda value: getattr(value, "NAME", None))
def test_each_row_of_vectors_lands_once_with_numbers_or_has_a_reason(vendor: Any, made: Any) -> None:
    good = VECTOR_LINES[[each for each, _ in VECTOR_LINES].index(vendor)][1]

    @bounded
    @given(spoiled(made("row-1")), st.permutations(range(3)))
    def check(said: Any, order: list[int]) -> None:
        lines = [json.dumps(each).encode() for each in (good("row-0"), said, good("row-2"))]
        tally = Tally()
        found = list(join(IDS, (lines[at] for at in order), vendor, Fate(), tally))
        check_rows(found, tally, IDS)
        for row in found:
            if isinstance(row, Answer):
                assert row.output is None, "what was asked for a vector is never landed as a text"
                numbers = numbers_of(row)
                assert numbers
                assert all(isinstance(each, int | float) and math.isfinite(each) for each in numbers)

    check()


@pytest.mark.parametrize(("vendor", "made"), TEXT_LINES, ids=lambda value: getattr(value, "NAME", None))
def test_each_row_of_texts_lands_once_as_a_text_or_has_a_reason(vendor: Any, made: Any) -> None:
    @bounded
    @given(spoiled(made("row-1")))
    def check(said: Any) -> None:
        lines = [json.dumps(each).encode() for each in (made("row-0"), said, made("row-2"))]
        tally = Tally()
        found = list(join(IDS, lines, vendor, Fate(), tally))
        check_rows(found, tally, IDS)
        for row in found:
            if isinstance(row, Answer):
                assert isinstance(row.output, str)
                assert row.output

    check()


def grouped(vectors: list[Any], name: str) -> dict[str, Any]:
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return line({"object": "list", "data": data, "usage": {"prompt_tokens": 6}}, name)


GROUPED: list[Any] = [
    lambda name: grouped([TWO, TWO], name),
    lambda name: grouped([CODED, CODED], name),
    lambda name: line(ERROR, name, 400),
]


@pytest.mark.parametrize("made", GROUPED)
def test_each_row_of_a_group_lands_once_with_numbers_or_has_a_reason(made: Any) -> None:
    ids = ("a", "b", "c", "d")
    groups = {group_name(pair): pair for pair in (ids[:2], ids[2:])}
    first, second = groups

    @bounded
    @given(spoiled(made(first)))
    def check(said: Any) -> None:
        lines: Iterator[bytes] = (json.dumps(each).encode() for each in (said, grouped([TWO, TWO], second)))
        tally = Tally()
        found = list(join(ids, lines, openai, Fate(), tally, groups))
        check_rows(found, tally, ids)
        for row in found:
            if isinstance(row, Answer):
                assert row.output is None
                assert all(math.isfinite(each) for each in numbers_of(row))

    check()
