"""Amazon SageMaker batch transform: a model's container answers the records of small JSON Lines files in S3.

Shapes and states: the service model in botocore (data/sagemaker) and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html. A record refused by the container
costs the whole file the output:
https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html. Not verified against SageMaker itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from opensearch_batch.errors import NoRoom, OutcomeUnknown, SpecError, Throttled, Transient
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.flow.asked import Asked, vectors_of
from opensearch_batch.flow.jobs import RemoteJob, RemoteState
from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.passing import passes as passes
from opensearch_batch.providers.protocol import UnreadableLine, unknown_status
from opensearch_batch.providers.reading import decoder, explained
from opensearch_batch.providers.sagemaker import containers
from opensearch_batch.providers.sagemaker.connector import JobSettings as JobSettings
from opensearch_batch.providers.sagemaker.connector import connector as connector
from opensearch_batch.providers.sagemaker.connector import moved as moved
from opensearch_batch.providers.shape import an_object, count, epoch_seconds, inner, needed, number, text, words

NAME = "sagemaker"
CONNECTION = "aws_default"
BASE_URL = ""
ENDPOINTS = ("/invocations",)
CREDENTIAL = {"access_key": "<key>", "secret_key": "<key>", "session_token": "<token>"}
EXPIRING = frozenset(["session_token"])
MODEL_IN_LINES = False
MIN_REQUESTS = 1
# Bounds of ours, not of the vendor: a job's files are many, and their number is not limited.
MAX_REQUESTS = 50_000
MAX_BYTES = 1024**3
MAX_INPUTS = 50_000
MAX_TEXTS_A_REQUEST: dict[str, int] = {}
MAX_TEXT_BYTES_A_REQUEST = 6 * 1024 * 1024
STORAGE_BYTES = None
WINDOW_HOURS = 5 * 24.0
"""https://docs.aws.amazon.com/general/latest/gr/sagemaker.html: the longest a transform job may run."""
JOB_LIFE_SECONDS = 6 * 86400.0
NO_ROOM_CODES: frozenset[str] = frozenset()
PRICE_ID = None
BATCH_PRICE_FACTOR = 1.0
STORE = "opensearch_batch.providers.sagemaker.store.TransformJobs"

STATES: dict[str, RemoteState] = {
    "InProgress": "running",
    "Stopping": "cancelling",
    "Completed": "completed",
    "Failed": "failed",
    "Stopped": "cancelled",
}

FILE_FAILED = "file_failed"
"""Code of a row in a file without output: the container refused this row, or a neighbour in the file."""

LATER = re.compile(r"ThrottlingException|Rate exceeded|TooManyRequests|ServiceUnavailable")
FULL = re.compile(r"ResourceLimitExceeded(?!.*utilization of 0\b)", re.DOTALL)
"""With nothing in use the quota itself is too small for the job, as that of most instance types in a new account."""
TAKEN = re.compile(r"ResourceInUse")


def online_parameters(text: str, model: str, endpoint: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"input": [text]}


def online_body(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """The endpoint's container takes what a job's container takes."""
    body: Mapping[str, Any] = line["input"]
    return body


def online_line(name: str, said: Any) -> bytes:
    return orjson.dumps({"id": name, "SageMakerOutput": said})


def request(
    name: str, text: str | Sequence[str], model: str, endpoint: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a record; the container gets `input`: the shape of Hugging Face's containers, `inputs` and parameters."""
    return {"id": name, "input": {"inputs": text, **parameters}}


def with_schema(model: str, endpoint: str, parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Containers differ in how they are told a shape: a spec says it in model.parameters, as its container takes it."""
    return dict(parameters)


def with_system_prompt(model: str, endpoint: str, parameters: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    raise SpecError("model.system_prompt: a container takes a single text; say it in input.prompt or input.template")


def images_a_request(model: str, endpoint: str, detail: str | None) -> int:
    raise SpecError("input.images: containers differ in how they are given an image; a record here is a single text")


def with_images(line: Mapping[str, Any], urls: Sequence[str], detail: str | None) -> dict[str, Any]:
    raise NotImplementedError("a record has one text")


def texts(line: Mapping[str, Any]) -> list[str]:
    content = line["input"]["inputs"]
    return [content] if isinstance(content, str) else list(content)


def with_texts(line: Mapping[str, Any], name: str, texts: Sequence[str]) -> dict[str, Any]:
    raise NotImplementedError("a record has one text")


def request_id(line: Mapping[str, Any]) -> str:
    return str(line["id"])


def output_tokens_at_most(model: str, endpoint: str, parameters: Mapping[str, Any]) -> int | None:
    """Return 0: SageMaker bills machines, not tokens."""
    return 0


def window_hours(job: Mapping[str, Any]) -> float:
    return WINDOW_HOURS


def cuts_texts(model: str, parameters: Mapping[str, Any]) -> bool:
    return False


def tokenizer(model: str) -> None:
    """The container's own."""


def asked(model: str, endpoint: str, parameters: Mapping[str, Any]) -> Asked:
    """A container may embed or write; only a container that embeds takes `dimensions`."""
    return vectors_of(parameters["dimensions"]) if "dimensions" in parameters else Asked()


def submit_parameters(input_file_id: str) -> dict[str, Any]:
    return {
        "TransformJobName": s3_layout.job_name(input_file_id),
        "TransformInput": {
            "ContentType": "application/json",
            "SplitType": "Line",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": input_file_id}},
        },
        "TransformOutput": {
            "Accept": "application/json",
            "AssembleWith": "Line",
            "S3OutputPath": s3_layout.output_uri(input_file_id),
        },
    }


def refusal(message: str) -> type[Transient] | None:
    """The words tell, not the status: a throttled, a full and a doubled CreateTransformJob are all 400."""
    if TAKEN.search(message):
        return OutcomeUnknown
    if FULL.search(message):
        return NoRoom
    return Throttled if LATER.search(message) else None


def find_query(input_file_id: str) -> None:
    """CreateTransformJob answers nothing but an ARN."""


def task_query(job_id: str) -> dict[str, Any]:
    return {"term": {"remote_job.TransformJobArn": job_id}}


def job_id(remote_job: Mapping[str, Any]) -> str | None:
    return text(inner(remote_job, "TransformJobArn"))


def input_file_id(remote_job: Mapping[str, Any]) -> str | None:
    return text(inner(remote_job, "TransformInput", "DataSource", "S3DataSource", "S3Uri"))


def is_same_model(one: str, other: str) -> bool:
    return one == other


def read_job(remote_job: Mapping[str, Any]) -> RemoteJob:
    """Read a job's document; the store adds `OutputFiles`, the number of output files."""
    said = an_object(remote_job, "transform job")
    found_id = needed(said, "TransformJobArn", "transform job")
    status = needed(said, "TransformJobStatus", f"transform job {found_id!r}")
    if status not in STATES:
        raise unknown_status(f"transform job {found_id!r}", status, STATES)
    reason = words(said.get("FailureReason"))
    output = text(inner(said, "TransformOutput", "S3OutputPath"))
    code = re.match(r"([A-Za-z]\w*Error)\b", reason or "")
    has_files = output is not None and number(said.get("OutputFiles", 1)) != 0
    return RemoteJob(
        id=found_id,
        state="settling" if status == "Completed" and not has_files else STATES[status],
        status=status,
        outputs=(output,) if output and status in ("Completed", "Failed") else (),
        has_answers=status != "Stopped" and number(said.get("OutputFiles", 1)) != 0,
        created_at=epoch_seconds(said.get("CreationTime")),
        usage=Usage(instance_seconds=_instance_seconds(said)),
        error_code=(code[1] if code else "job_failed") if reason else None,
        error_message=reason,
        model=text(said.get("ModelName")),
    )


def _instance_seconds(said: Mapping[str, Any]) -> float:
    began, ended = epoch_seconds(said.get("TransformStartTime")), epoch_seconds(said.get("TransformEndTime"))
    machines = count(inner(said, "TransformResources", "InstanceCount")) or 1
    return max(0.0, ended - began) * machines if began and ended else 0.0


class _Joined(msgspec.Struct):
    id: str
    SageMakerOutput: msgspec.Raw


class _Refusal(msgspec.Struct):
    code: str
    message: str
    rows: int


class _Unanswered(msgspec.Struct):
    """A line made by the store about a row in a file without output; `rows` is the number of suspects."""

    id: str
    refused: _Refusal


_joined = decoder(_Joined)
_unanswered = decoder(_Unanswered)


def read_line(raw: bytes) -> Answer:
    try:
        line = _joined(raw)
    except UnreadableLine as error:
        return _without_output(raw, error)
    return containers.answer(line.id, bytes(line.SageMakerOutput))


def _without_output(raw: bytes, error: UnreadableLine) -> Answer:
    try:
        told = _unanswered(raw)
    except UnreadableLine:
        raise explained(raw, error) from None
    shared = told.refused.rows > 1
    passing = shared or passes(told.refused.code)
    return Answer(told.id, code=FILE_FAILED, message=told.refused.message, passing=passing, alone=shared)


def read_many(raw: bytes) -> Iterator[Answer | None]:
    raise NotImplementedError("a record has one text")


def unanswered(line: bytes, code: str, message: str, rows: int) -> bytes:
    """Return the line for `read_line` about a row of a file without output; `line` is the input's."""
    refused = {"code": code, "message": message, "rows": rows}
    return orjson.dumps({"id": orjson.loads(line)["id"], "refused": refused})


def paired(line: bytes, output: bytes) -> bytes:
    """Join input and output of the same line number, for a job without JoinSource."""
    return b'{"id":' + orjson.dumps(str(orjson.loads(line)["id"])) + b',"SageMakerOutput":' + output + b"}"


def job_path(job_id: str) -> str:
    return f"/sagemaker/DescribeTransformJob#{_name(job_id)}"


def job_link(job_id: str) -> str:
    region = job_id.split(":")[3]
    return f"https://{region}.console.aws.amazon.com/sagemaker/home?region={region}#/transform-jobs/{_name(job_id)}"


def _name(job_arn: str) -> str:
    return job_arn.rpartition("/")[2]
