"""Amazon Bedrock batch inference: model invocation jobs over records in S3.

Shapes and states: the service model in botocore (data/bedrock) and
https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html. Input and output of a record: models.py. Not
verified against Bedrock itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from opensearch_batch.errors import NoRoom, OutcomeUnknown, Throttled, Transient
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.flow.asked import Asked
from opensearch_batch.flow.jobs import ENDED, RemoteJob, RemoteState
from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.bedrock import images, instructed, models
from opensearch_batch.providers.bedrock.connector import JobSettings as JobSettings
from opensearch_batch.providers.bedrock.connector import connector as connector
from opensearch_batch.providers.bedrock.connector import moved as moved
from opensearch_batch.providers.passing import passes as passes
from opensearch_batch.providers.protocol import UnreadableLine, unknown_status
from opensearch_batch.providers.reading import decoder
from opensearch_batch.providers.shape import an_object, count, epoch_seconds, inner, needed, number, reason, text, words

NAME = "bedrock"
CONNECTION = "aws_default"
BASE_URL = ""
ENDPOINTS = ("/invoke",)
CREDENTIAL = {"access_key": "<key>", "secret_key": "<key>", "session_token": "<token>"}
EXPIRING = frozenset(["session_token"])
# Quotas of an account: https://docs.aws.amazon.com/general/latest/gr/bedrock.html, "batch inference job".
MODEL_IN_LINES = False
MIN_REQUESTS = 100
MAX_REQUESTS = 50_000
MAX_BYTES = 1024**3
MAX_INPUTS = 50_000
MAX_TEXTS_A_REQUEST: dict[str, int] = {}
MAX_TEXT_BYTES_A_REQUEST = 300_000
STORAGE_BYTES = None
WINDOW_HOURS = 24.0
"""Unless model.job.timeout_hours says otherwise."""
JOB_LIFE_SECONDS = 8 * 86400.0
NO_ROOM_CODES: frozenset[str] = frozenset()
PRICE_ID = "aws"
BATCH_PRICE_FACTOR = 0.5
STORE = "opensearch_batch.providers.bedrock.store.InvocationJobs"

STATES: dict[str, RemoteState] = {
    "Submitted": "running",
    "Validating": "running",
    "Scheduled": "running",
    "InProgress": "running",
    "Stopping": "cancelling",
    "Completed": "completed",
    "PartiallyCompleted": "expired",  # not every record was processed in time
    "Failed": "failed",
    "Expired": "expired",
    "Stopped": "cancelled",
}

WITH_OUTPUT = frozenset({"Completed", "PartiallyCompleted"})
"""Ends of a job that has an output, whatever is counted."""

LATER = re.compile(r"ThrottlingException|Too many requests|ServiceUnavailable")
FULL = re.compile(r"ServiceQuotaExceededException")
TAKEN = re.compile(r"ConflictException|job name is currently in use")

PLAIN_ID = re.compile(r"[A-WYZa-wyz0-9][A-Za-z0-9]*")


def online_parameters(text: str, model: str, endpoint: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return models.online_parameters(model, text, parameters)


def online_body(line: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """InvokeModel takes what a record has: https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-data.html."""
    body: Mapping[str, Any] = line["modelInput"]
    return body if "messages" in body else None


def online_line(name: str, said: Any) -> bytes:
    return orjson.dumps({"recordId": record_id(name), "modelOutput": said})


def request(
    name: str, text: str | Sequence[str], model: str, endpoint: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    assert isinstance(text, str)
    return {"recordId": record_id(name), "modelInput": models.model_input(model, text, parameters)}


def record_id(row_id: str) -> str:
    """Return the row's id, or the hex of the id's UTF-8: a recordId may have letters and digits only."""
    return row_id if PLAIN_ID.fullmatch(row_id) else f"x{row_id.encode().hex()}"


def row_id(record_id: str) -> str:
    """Return the row's id. Raise UnreadableLine for an id not made by `record_id`."""
    if not record_id.startswith("x"):
        return record_id
    try:
        return bytes.fromhex(record_id[1:]).decode()
    except ValueError as error:  # no hex, or not of UTF-8
        raise UnreadableLine(f"recordId {record_id!r}: {error}") from error


def with_schema(model: str, endpoint: str, parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    return instructed.with_schema(model, parameters, schema)


def with_system_prompt(model: str, endpoint: str, parameters: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    return instructed.with_system_prompt(model, parameters, prompt)


images_a_request, with_images = images.images_a_request, images.with_images


def texts(line: Mapping[str, Any]) -> list[str]:
    return [models.text_of(line["modelInput"])]


def with_texts(line: Mapping[str, Any], name: str, texts: Sequence[str]) -> dict[str, Any]:
    raise NotImplementedError("a record has one text")


def request_id(line: Mapping[str, Any]) -> str:
    return row_id(str(line["recordId"]))


def output_tokens_at_most(model: str, endpoint: str, parameters: Mapping[str, Any]) -> int | None:
    return models.output_tokens_at_most(model, parameters)


def window_hours(job: Mapping[str, Any]) -> float:
    return float(job.get("timeout_hours") or WINDOW_HOURS)


def cuts_texts(model: str, parameters: Mapping[str, Any]) -> bool:
    return models.cuts_texts(model, parameters)


def tokenizer(model: str) -> None:
    """None is published."""


def asked(model: str, endpoint: str, parameters: Mapping[str, Any]) -> Asked:
    return models.asked(model, parameters)


def submit_parameters(input_file_id: str) -> dict[str, Any]:
    """The token makes a repeated request the same job: AWS makes no second job."""
    name = s3_layout.job_name(input_file_id)
    return {
        "jobName": name,
        "clientRequestToken": name,
        "inputDataConfig": {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": input_file_id}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": s3_layout.output_uri(input_file_id)}},
    }


def refusal(message: str) -> type[Transient] | None:
    if TAKEN.search(message):
        return OutcomeUnknown
    if FULL.search(message):
        return NoRoom
    return Throttled if LATER.search(message) else None


def find_query(input_file_id: str) -> None:
    """CreateModelInvocationJob answers nothing but an ARN."""


def task_query(job_id: str) -> dict[str, Any]:
    return {"term": {"remote_job.jobArn": job_id}}


def job_id(remote_job: Mapping[str, Any]) -> str | None:
    return text(inner(remote_job, "jobArn"))


def input_file_id(remote_job: Mapping[str, Any]) -> str | None:
    return text(inner(remote_job, "inputDataConfig", "s3InputDataConfig", "s3Uri"))


def is_same_model(one: str, other: str) -> bool:
    """A job names the model by id or by ARN, and a profile begins with the region."""
    short, long = sorted((one.rpartition("/")[2], other.rpartition("/")[2]), key=len)
    return long == short or long.endswith(f".{short}")


def read_job(remote_job: Mapping[str, Any]) -> RemoteJob:
    """Read a job's document; the store adds `OutputFiles`, the number of output files."""
    said = an_object(remote_job, "model invocation job")
    found_id = needed(said, "jobArn", "model invocation job")
    status = needed(said, "status", f"model invocation job {found_id!r}")
    if status not in STATES:
        raise unknown_status(f"model invocation job {found_id!r}", status, STATES)
    output = text(inner(said, "outputDataConfig", "s3OutputDataConfig", "s3Uri"))
    state = STATES[status]
    failed = state == "failed"
    done = count(said.get("successRecordCount"))
    has_files = output is not None and number(said.get("OutputFiles", 1)) != 0
    waits = not has_files and (status in WITH_OUTPUT or (done > 0 and state in ENDED and not failed))
    return RemoteJob(
        id=found_id,
        state="settling" if waits else state,
        status=status,
        outputs=(output,) if output and state in ("completed", "expired", "cancelled") else (),
        has_answers=not failed and number(said.get("OutputFiles", 1)) != 0,
        created_at=epoch_seconds(said.get("submitTime")),
        requests_total=count(said.get("totalRecordCount")),
        requests_done=done,
        requests_failed=count(said.get("errorRecordCount")),
        error_code="job_failed" if failed else None,
        error_message=words(said.get("message")),
        model=text(said.get("modelId")),
    )


class _Line(msgspec.Struct):
    recordId: str
    modelOutput: msgspec.Raw = msgspec.Raw()
    error: Any = None


_line = decoder(_Line)


def read_line(raw: bytes) -> Answer:
    line = _line(raw)
    name = row_id(line.recordId)
    if line.error:
        said, message = reason(line.error)
        code = words(inner(line.error, "errorCode")) or said or "error"
        message = words(inner(line.error, "errorMessage")) or message
        return Answer(name, code=code, message=message, passing=passes(code))
    if not (output := bytes(line.modelOutput)):
        raise UnreadableLine("neither an output nor an error")
    return models.answer(name, output)


def read_many(raw: bytes) -> Iterator[Answer | None]:
    raise NotImplementedError("a record has one text")


def usage_of(manifest: Mapping[str, Any]) -> Usage:
    """Of a job's manifest.json.out."""
    return Usage(count(inner(manifest, "inputTokenCount")), count(inner(manifest, "outputTokenCount")))


def job_path(job_id: str) -> str:
    return f"/bedrock/model-invocation-job/{job_id}"


def job_link(job_id: str) -> str:
    region = job_id.split(":")[3]
    return f"https://{region}.console.aws.amazon.com/bedrock/home?region={region}#/batch-inference"
