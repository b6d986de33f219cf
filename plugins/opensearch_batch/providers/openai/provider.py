"""OpenAI and compatible servers: /v1/batches over JSON Lines files of the Files API.

Limits, states and shapes: https://platform.openai.com/docs/guides/batch and the types of the openai SDK
(types/batch.py). The lines of output files: output.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from opensearch_batch.errors import Transient
from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.asked import TEXTS, Asked, vectors_of
from opensearch_batch.flow.jobs import ENDED, RemoteJob, RemoteState
from opensearch_batch.providers.openai import images, instructed, online, tokens
from opensearch_batch.providers.openai import output as openai_output
from opensearch_batch.providers.passing import passes as passes
from opensearch_batch.providers.protocol import unknown_status
from opensearch_batch.providers.request_body import members
from opensearch_batch.providers.shape import an_object, count, epoch_seconds, inner, needed, number, text, words

NAME = "openai"
CONNECTION = "openai_default"
BASE_URL = "https://api.openai.com/v1"
CREDENTIAL = {"openAI_key": "<key>"}
EXPIRING: frozenset[str] = frozenset()
ENDPOINTS = ("/v1/embeddings", "/v1/chat/completions", "/v1/responses")
MODEL_IN_LINES = True
MIN_REQUESTS = 1
MAX_REQUESTS = 50_000
MAX_BYTES = 200 * 1024 * 1024
MAX_INPUTS = 50_000
# https://platform.openai.com/docs/api-reference/embeddings/create: 2048 inputs and 300,000 tokens a request. A token is
# at least one byte of the text, so as many bytes are always within it.
MAX_TEXTS_A_REQUEST = {"/v1/embeddings": 2048}
MAX_TEXT_BYTES_A_REQUEST = 300_000
STORAGE_BYTES = 2_500_000_000_000
"""A project's files together: https://platform.openai.com/docs/api-reference/files/create (2.5 TB)."""
WINDOW_HOURS = 24.0
JOB_LIFE_SECONDS = 3 * 86400.0
NO_ROOM_CODES = frozenset({"token_limit_exceeded"})
"""https://github.com/openai/openai-python/issues/2084 shows a batch accepted, then `failed` with the code."""
PRICE_ID = "openai"
BATCH_PRICE_FACTOR = 0.5
STORE = "opensearch_batch.providers.openai.store.OpenAIFiles"

BATCH_ONLY = ("encoding_format",)
"""Parameters of rows, not of the connector's online action: ML Commons reads vectors as numbers only."""

OUTPUT_LIMITS = {"/v1/responses": ("max_output_tokens",)}
OUTPUT_LIMITS_ELSEWHERE = ("max_completion_tokens", "max_tokens")

STATES: dict[str, RemoteState] = {
    "validating": "running",
    "in_progress": "running",
    "finalizing": "running",
    "completed": "completed",
    "failed": "failed",
    "expired": "expired",
    "cancelling": "cancelling",
    "cancelled": "cancelled",
}

_ONLINE_BODY = {
    "/v1/embeddings": '"input": ${parameters.input}',
    "/v1/chat/completions": '"messages": ${parameters.messages}',
    "/v1/responses": '"input": ${parameters.input}',
}
_FUNCTIONS = {
    "/v1/embeddings": {
        "pre_process_function": "connector.pre_process.openai.embedding",
        "post_process_function": "connector.post_process.openai.embedding",
    }
}


class JobSettings(BaseModel):
    """A batch needs only a file."""

    model_config = ConfigDict(extra="forbid")


def connector(
    name: str,
    model: str,
    endpoint: str,
    parameters: Mapping[str, Any],
    base_url: str,
    job: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Online and batch actions over one key.

    All actions carry the same headers: ML Commons sends the headers of `predict` for a batch and for status reads.
    Status and cancel carry a body because ML Commons replaces a body-less action by a default for the vendor's own host
    only. The read time-out bounds how long the cluster may still be sending after our client gave up; retries inside
    the cluster could submit twice, so retries are off. `auth_header` of `job`, from the connection, names a header for
    the bare key where a gateway takes no bearer token.
    """
    header = (job or {}).get("auth_header")
    headers = {header: "${credential.openAI_key}"} if header else {"Authorization": "Bearer ${credential.openAI_key}"}
    online = {key: value for key, value in parameters.items() if key not in BATCH_ONLY}
    fixed = members(online)
    batches = f"{base_url}/batches"
    return {
        "name": name,
        "version": "1",
        "protocol": "http",
        "parameters": {"model": model, "batch_endpoint": endpoint},
        "client_config": {"connection_timeout": 30, "read_timeout": 60, "max_retry_times": 0},
        "actions": [
            {
                "action_type": "predict",
                "method": "POST",
                "url": base_url + endpoint.removeprefix("/v1"),
                "headers": headers,
                "request_body": f'{{ "model": "${{parameters.model}}", {_ONLINE_BODY[endpoint]}{fixed} }}',
                **_FUNCTIONS.get(endpoint, {}),
            },
            {
                "action_type": "batch_predict",
                "method": "POST",
                "url": batches,
                "headers": headers,
                "request_body": '{ "input_file_id": "${parameters.input_file_id}", '
                '"endpoint": "${parameters.batch_endpoint}", "completion_window": "24h" }',
            },
            {
                "action_type": "batch_predict_status",
                "method": "GET",
                "url": batches + "/${parameters.id}",
                "headers": headers,
                "request_body": "{}",
            },
            {
                "action_type": "cancel_batch_predict",
                "method": "POST",
                "url": batches + "/${parameters.id}/cancel",
                "headers": headers,
                "request_body": "{}",
            },
        ],
    }


def online_parameters(text: str, model: str, endpoint: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"input": [text]} if endpoint == "/v1/embeddings" else {}


def moved(url: str, base_url: str) -> str:
    return base_url + url[len(BASE_URL) :] if url.startswith(BASE_URL) else url


def request(
    name: str, text: str | Sequence[str], model: str, endpoint: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Messages in the parameters stand before the row's own."""
    before = parameters.get("messages", [])
    content: Any = [*before, {"role": "user", "content": text}] if endpoint == "/v1/chat/completions" else text
    field = "messages" if endpoint == "/v1/chat/completions" else "input"
    return {
        "custom_id": name,
        "method": "POST",
        "url": endpoint,
        "body": {"model": model, **parameters, field: content},
    }


def with_texts(line: Mapping[str, Any], name: str, texts: Sequence[str]) -> dict[str, Any]:
    return {**line, "custom_id": name, "body": {**line["body"], "input": list(texts)}}


def request_id(line: Mapping[str, Any]) -> str:
    return str(line["custom_id"])


def output_tokens_at_most(model: str, endpoint: str, parameters: Mapping[str, Any]) -> int | None:
    """Each of `n` answers has the bound, and is billed."""
    if endpoint == "/v1/embeddings":
        return 0
    names = OUTPUT_LIMITS.get(endpoint, OUTPUT_LIMITS_ELSEWHERE)
    bound = next((int(parameters[name]) for name in names if parameters.get(name) is not None), None)
    return None if bound is None else bound * int(parameters.get("n") or 1)


def window_hours(job: Mapping[str, Any]) -> float:
    return WINDOW_HOURS


def cuts_texts(model: str, parameters: Mapping[str, Any]) -> bool:
    """Only the endpoint of responses may cut: https://platform.openai.com/docs/api-reference/responses/create."""
    return parameters.get("truncation") == "auto"


def asked(model: str, endpoint: str, parameters: Mapping[str, Any]) -> Asked:
    return vectors_of(parameters.get("dimensions")) if endpoint == "/v1/embeddings" else TEXTS


def submit_parameters(input_file_id: str) -> dict[str, Any]:
    """Return only the file: the connector has model and endpoint, and every line of the file names both again."""
    return {"input_file_id": input_file_id}


def refusal(message: str) -> type[Transient] | None:
    """Return None: the statuses tell. Too many requests are 429, and a file may be submitted any number of times."""
    return None


def find_query(input_file_id: str) -> dict[str, Any]:
    return {"term": {"remote_job.input_file_id": input_file_id}}


def task_query(job_id: str) -> dict[str, Any]:
    return {"term": {"remote_job.id": job_id}}


def job_id(remote_job: Mapping[str, Any]) -> str | None:
    return text(inner(remote_job, "id"))


def input_file_id(remote_job: Mapping[str, Any]) -> str | None:
    return text(inner(remote_job, "input_file_id"))


def is_same_model(one: str, other: str) -> bool:
    """A job names the dated snapshot of the requested model, e.g. gpt-4o-mini-2024-07-18."""
    return _undated(one) == _undated(other)


def _undated(model: str) -> str:
    return re.sub(r"-(\d{4}-\d{2}-\d{2}|\d{4})$", "", model)


def read_job(remote_job: Mapping[str, Any]) -> RemoteJob:
    said = an_object(remote_job, "batch")
    found_id = needed(said, "id", "batch")
    status = needed(said, "status", f"batch {found_id!r}")
    if status not in STATES:
        raise unknown_status(f"batch {found_id!r}", status, STATES)
    first = _first_error(said.get("errors"))
    output, errors = text(said.get("output_file_id")), text(said.get("error_file_id"))
    done, failed = count(inner(said, "request_counts", "completed")), count(inner(said, "request_counts", "failed"))
    return RemoteJob(
        id=found_id,
        state="settling" if _waits_for_files(STATES[status], output, errors, done, failed) else STATES[status],
        status=status,
        outputs=tuple(each for each in (output, errors) if each),
        has_answers=output is not None,
        created_at=epoch_seconds(said.get("created_at")),
        requests_total=count(inner(said, "request_counts", "total")),
        requests_done=done,
        requests_failed=failed,
        usage=Usage(count(inner(said, "usage", "input_tokens")), count(inner(said, "usage", "output_tokens"))),
        error_code=words(inner(first, "code")),
        error_message=_message(first),
        model=text(said.get("model")),
    )


def _waits_for_files(state: RemoteState, output: str | None, errors: str | None, done: int, failed: int) -> bool:
    """Compatible servers were seen to end a batch before they name its files. All rows failed is an end without a file
    of answers; so is a batch that failed, expired or was cancelled with no row answered.
    """
    if state not in ENDED or output:
        return False
    return done > 0 or (state == "completed" and not (failed and errors))


def _first_error(errors: Any) -> Any:
    """Of a job: the first in `data`, or what stands there instead."""
    told = inner(errors, "data") or errors
    return next(iter(told), None) if isinstance(told, list) else told


def _message(error: Any) -> str | None:
    said, line = words(error), number(inner(error, "line"))
    return f"{said} (line {int(line)})" if said and line else said


tokenizer = tokens.tokenizer
online_body, online_line = online.online_body, online.online_line
with_schema, with_system_prompt = instructed.with_schema, instructed.with_system_prompt
images_a_request, with_images, texts = images.images_a_request, images.with_images, images.texts
read_line, read_many = openai_output.read_line, openai_output.read_many


def job_path(job_id: str) -> str:
    return f"/batches/{job_id}"


def job_link(job_id: str) -> str:
    return f"https://platform.openai.com/batches/{job_id}"
