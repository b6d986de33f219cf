"""Bedrock's model invocation jobs as values: records and their ids, states, the answers of each family of models."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from opensearch_batch.errors import NoRoom, OutcomeUnknown, SpecError, Throttled, UnknownAnswer
from opensearch_batch.flow.answers import Usage
from opensearch_batch.providers.bedrock import models
from opensearch_batch.providers.bedrock import provider as bedrock
from opensearch_batch.providers.protocol import UnreadableLine
from opensearch_batch.spec import BatchSpec

ARN = "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abc123abc123"
INPUT = "s3://bucket/nightly/batch-" + "0" * 32 + "-a1/in/"
TITAN = "amazon.titan-embed-text-v2:0"
JOB = {"files_uri": "s3://bucket/nightly", "role_arn": "arn:aws:iam::123456789012:role/batch", "region": "us-east-1"}
SHOWN: dict[str, Any] = {
    "jobArn": ARN,
    "modelId": TITAN,
    "status": "Completed",
    "submitTime": "2026-01-31T00:00:00Z",
    "inputDataConfig": {"s3InputDataConfig": {"s3Uri": INPUT}},
    "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket/out/"}},
    "totalRecordCount": 200,
    "successRecordCount": 198,
    "errorRecordCount": 2,
}


@pytest.mark.parametrize("row_id", ["a1", "json.dumps", "x1", "ü", "9", "row 1/2", "X"])
def test_a_record_id_has_letters_and_digits_alone_and_tells_the_row(row_id: str) -> None:
    record_id = bedrock.record_id(row_id)
    assert record_id.isalnum()
    assert record_id.isascii()
    assert bedrock.row_id(record_id) == row_id


def test_a_plain_id_stays_as_it_is() -> None:
    assert bedrock.record_id("CALL0000001") == "CALL0000001"


def test_the_same_input_is_the_same_token() -> None:
    parameters = bedrock.submit_parameters(INPUT)
    assert parameters["clientRequestToken"] == parameters["jobName"] == "batch-" + "0" * 32 + "-a1"
    assert bedrock.input_file_id(parameters) == INPUT


def test_the_connector_leaves_status_and_cancel_to_the_cluster() -> None:
    body = bedrock.connector("name", TITAN, "/invoke", {"dimensions": 256}, "", {**JOB, "timeout_hours": 48})
    predict, submit = body["actions"]
    assert predict["url"] == f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{TITAN}/invoke"
    assert predict["request_body"] == '{ "inputText": "${parameters.inputText}", "dimensions": 256 }'
    assert submit["url"] == "https://bedrock.us-east-1.amazonaws.com/model-invocation-job"
    assert submit["post_process_function"] == "connector.post_process.bedrock.batch_job_arn"
    assert '"timeoutDurationInHours": 48' in submit["request_body"]
    left = {name for name in bedrock.submit_parameters(INPUT) if f"${{parameters.{name}}}" in submit["request_body"]}
    assert left == set(bedrock.submit_parameters(INPUT))


@pytest.mark.parametrize(
    ("status", "state", "has_answers"),
    [
        ("Submitted", "running", True),
        ("Scheduled", "running", True),
        ("Completed", "completed", True),
        ("PartiallyCompleted", "expired", True),
        ("Expired", "expired", True),
        ("Stopped", "cancelled", True),
        ("Failed", "failed", False),
    ],
)
def test_partly_completed_is_no_success(status: str, state: str, has_answers: bool) -> None:
    remote = bedrock.read_job({**SHOWN, "status": status})
    assert (remote.state, remote.has_answers) == (state, has_answers)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Completed", "settling"),
        ("PartiallyCompleted", "settling"),
        ("Stopped", "cancelled"),
        ("Expired", "expired"),
        ("Failed", "failed"),
    ],
)
def test_a_job_that_must_have_an_output_has_not_ended_before_it_is_there(status: str, state: str) -> None:
    uncounted = {name: value for name, value in SHOWN.items() if not name.endswith("RecordCount")}
    assert bedrock.read_job({**uncounted, "status": status, "OutputFiles": 0}).state == state


def test_counts_and_time_are_read_of_either_form() -> None:
    remote = bedrock.read_job(SHOWN)
    assert (remote.requests_total, remote.requests_done, remote.requests_failed) == (200, 198, 2)
    assert remote.created_at == bedrock.read_job({**SHOWN, "submitTime": 1769817600.0}).created_at == 1769817600.0


def test_a_status_nobody_knows_is_raised() -> None:
    with pytest.raises(UnknownAnswer, match="'Paused' is not known"):
        bedrock.read_job({**SHOWN, "status": "Paused"})


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("ThrottlingException: Too many requests", Throttled),
        ("ServiceQuotaExceededException: concurrent jobs", NoRoom),
        ("ConflictException: job name already exists", OutcomeUnknown),
        ("ValidationException: The provided job name is currently in use.", OutcomeUnknown),
        ("ValidationException: The provided model identifier is invalid.", None),
    ],
)
def test_refusals_that_are_not_the_end_are_told_by_their_words(said: str, meant: type | None) -> None:
    assert bedrock.refusal(said) is meant


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (TITAN, {"dimensions": 256}),
        ("cohere.embed-english-v3", {}),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", {"max_tokens": 50}),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0", {}),
    ],
)
def test_each_family_gets_its_own_body_and_its_text_is_read_back(model: str, parameters: dict[str, Any]) -> None:
    line = bedrock.request("row-1", "some text", model, "/invoke", parameters)
    assert (bedrock.request_id(line), bedrock.texts(line)) == ("row-1", ["some text"])
    assert parameters.items() <= line["modelInput"].items()


def test_a_model_whose_body_is_not_known_is_refused() -> None:
    with pytest.raises(SpecError, match=r"mistral.*not known here"):
        bedrock.request("a", "text", "mistral.mistral-7b-instruct-v0:2", "/invoke", {})


@pytest.mark.parametrize(
    ("output", "vector", "usage"),
    [
        ({"embedding": [0.5, 1], "inputTextTokenCount": 7}, [0.5, 1], Usage(7)),
        ({"embeddings": [[0.5, 1]], "response_type": "embeddings_floats"}, [0.5, 1], Usage()),
        ({"embeddings": {"float": [[0.5, 1]]}}, [0.5, 1], Usage()),
        ({"embeddings": {"int8": [[1, -2]]}}, [1, -2], Usage()),
        ({"embeddings": {"int8": [[1, -2]], "float": [[0.5, 1]]}}, [0.5, 1], Usage()),
    ],
)
def test_vectors_of_each_family(output: dict[str, Any], vector: list[float], usage: Usage) -> None:
    answer = bedrock.read_line(orjson.dumps({"recordId": "a", "modelOutput": output}))
    assert answer.vector is not None
    assert (orjson.loads(bytes(answer.vector)), answer.usage) == (vector, usage)


@pytest.mark.parametrize(
    "output",
    [
        {"content": [{"type": "text", "text": "Two."}], "usage": {"input_tokens": 3, "output_tokens": 2}},
        {
            "output": {"message": {"content": [{"text": "Two."}]}},
            "usage": {"inputTokens": 3, "outputTokens": 2},
        },
    ],
)
def test_texts_of_each_family(output: dict[str, Any]) -> None:
    answer = bedrock.read_line(orjson.dumps({"recordId": "a", "modelInput": {}, "modelOutput": output}))
    assert (answer.output, answer.usage) == ("Two.", Usage(3, 2))


@pytest.mark.parametrize(("code", "passing"), [(400, False), (429, True), (500, True)])
def test_an_error_in_place_is_the_rows_reason(code: int, passing: bool) -> None:
    line = {"recordId": "a", "modelInput": {}, "error": {"errorCode": code, "errorMessage": "bad request"}}
    answer = bedrock.read_line(orjson.dumps(line))
    assert (answer.code, answer.message, answer.passing) == (str(code), "bad request", passing)


def test_an_unreadable_record_is_raised_as_one() -> None:
    with pytest.raises(UnreadableLine, match="neither an output nor an error"):
        bedrock.read_line(b'{"recordId": "a"}')


@pytest.mark.parametrize(
    ("model", "parameters", "most"),
    [
        (TITAN, {}, 0),
        ("anthropic.claude-3-haiku-20240307-v1:0", {}, models.MAX_TOKENS),
        ("amazon.nova-lite-v1:0", {"inferenceConfig": {"maxTokens": 9}}, 9),
        ("amazon.nova-lite-v1:0", {}, None),
    ],
)
def test_what_an_answer_may_cost(model: str, parameters: dict[str, Any], most: int | None) -> None:
    assert bedrock.output_tokens_at_most(model, "/invoke", parameters) == most


def test_a_spec_of_few_lines_is_whole() -> None:
    job = {name: value for name, value in JOB.items() if name != "region"}
    spec = BatchSpec.check(
        {
            "name": "articles",
            "model": {"provider": "bedrock", "name": TITAN, "job": job},
            "input": {"uri": "file:///in.jsonl"},
            "output": {"uri": "file:///out"},
        }
    )
    assert spec.model.endpoint == "/invoke"
