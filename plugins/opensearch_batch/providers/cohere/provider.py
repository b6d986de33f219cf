"""Cohere's embed jobs: a dataset of texts in, a dataset of Avro parts out.

Shapes and states: the types of the cohere SDK (types/embed_job.py, types/dataset.py) and
https://docs.cohere.com/v2/docs/embed-jobs-api. Cohere's v2 batches are not used: a batch's document lies below
`batch`, with new status words, and ML Commons reads top-level fields alone, so that a cluster could neither look at nor
cancel a batch. Not verified against Cohere itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson
from pydantic import BaseModel, ConfigDict

from opensearch_batch.errors import SpecError, Throttled, Transient
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.flow.asked import Asked
from opensearch_batch.flow.jobs import RemoteJob, RemoteState
from opensearch_batch.providers.protocol import UnreadableLine, unknown_status
from opensearch_batch.providers.reading import decoder, explained
from opensearch_batch.providers.request_body import members
from opensearch_batch.providers.shape import an_object, count, epoch_seconds, inner, needed, text

NAME = "cohere"
CONNECTION = "cohere_default"
BASE_URL = "https://api.cohere.ai"
"""In ML Commons' default list of trusted addresses; api.cohere.com is not."""
CREDENTIAL = {"cohere_key": "<key>"}
EXPIRING: frozenset[str] = frozenset()
ENDPOINTS = ("/v1/embed",)
MODEL_IN_LINES = False
MIN_REQUESTS = 1
# https://docs.cohere.com/v2/docs/datasets: 1.5 GB a dataset, 10 GB an organization. No number of rows is published.
MAX_REQUESTS = 1_000_000
MAX_BYTES = 1_500_000_000
MAX_INPUTS = 1_000_000
MAX_TEXTS_A_REQUEST: dict[str, int] = {}
MAX_TEXT_BYTES_A_REQUEST = 300_000
STORAGE_BYTES = 10_000_000_000
WINDOW_HOURS = 24.0
"""A guess: no figure is published."""
JOB_LIFE_SECONDS = 3 * 86400.0
NO_ROOM_CODES: frozenset[str] = frozenset()
PRICE_ID = "cohere"
BATCH_PRICE_FACTOR = 1.0
"""No discount on embed jobs is published."""
STORE = "opensearch_batch.providers.cohere.store.CohereDatasets"

STATES: dict[str, RemoteState] = {
    "processing": "running",
    "cancelling": "cancelling",
    "complete": "completed",
    "cancelled": "cancelled",
    "failed": "failed",
}

DEFAULTS = {"input_type": "search_document", "truncate": "END"}

LENGTHS = ("output_dimension", "dimensions")
"""Names of the length of vectors, at Cohere and elsewhere."""

LATER = re.compile(r"(?i)not (yet )?(been )?validated|still (being )?(processed|validated)")


class JobSettings(BaseModel):
    """An embed job needs only a dataset."""

    model_config = ConfigDict(extra="forbid")


def connector(
    name: str,
    model: str,
    endpoint: str,
    parameters: Mapping[str, Any],
    base_url: str,
    job: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Status and cancel are named, because ML Commons' own actions read an `id`, and a job has a `job_id`.

    Searches embed as search_query, whatever the corpus' input type; `online_input_type` of a request asks for another.
    """
    headers = {"Authorization": "Bearer ${credential.cohere_key}"}
    said = {**DEFAULTS, **parameters}
    online = {key: value for key, value in said.items() if key not in ("input_type", "embedding_types")}
    fixed = members(online)
    types = members({key: said[key] for key in ("embedding_types",) if key in said})
    jobs = f"{base_url}/v1/embed-jobs"

    def action(kind: str, method: str, url: str, body: str, **functions: str) -> dict[str, Any]:
        made = {"action_type": kind, "method": method, "url": url, "headers": headers, "request_body": body}
        return {**made, **functions}

    return {
        "name": name,
        "version": "1",
        "protocol": "http",
        "parameters": {
            "model": model,
            "input_type": said["input_type"],
            "truncate": said["truncate"],
            "online_input_type": "search_query",
        },
        "client_config": {"connection_timeout": 30, "read_timeout": 60, "max_retry_times": 0},
        "actions": [
            action(
                "predict",
                "POST",
                f"{base_url}/v1/embed",
                '{ "model": "${parameters.model}", "texts": ${parameters.texts}, '
                f'"input_type": "${{parameters.online_input_type}}"{fixed} }}',
                pre_process_function="connector.pre_process.cohere.embedding",
                post_process_function="connector.post_process.cohere.embedding",
            ),
            action(
                "batch_predict",
                "POST",
                jobs,
                '{ "model": "${parameters.model}", "dataset_id": "${parameters.dataset_id}", '
                f'"input_type": "${{parameters.input_type}}", "truncate": "${{parameters.truncate}}"{types} }}',
            ),
            action("batch_predict_status", "GET", f"{jobs}/${{parameters.job_id}}", "{}"),
            action("cancel_batch_predict", "POST", f"{jobs}/${{parameters.job_id}}/cancel", "{}"),
        ],
    }


def online_parameters(text: str, model: str, endpoint: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """With the corpus' own input type: the vectors of a question are others."""
    return {"texts": [text], "online_input_type": {**DEFAULTS, **parameters}["input_type"]}


def online_body(line: Mapping[str, Any]) -> None:
    """A row is answered with a vector."""


def online_line(name: str, said: Any) -> bytes:
    raise NotImplementedError("a row is answered with a vector")


def moved(url: str, base_url: str) -> str:
    return re.sub(r"^https://api\.cohere\.(ai|com)(?=/)", base_url, url)


def request(
    name: str, text: str | Sequence[str], model: str, endpoint: str, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a row of the dataset; the connector has model and parameters."""
    return {"id": name, "text": text}


def with_schema(model: str, endpoint: str, parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    raise NotImplementedError("a row is answered with a vector")


def with_system_prompt(model: str, endpoint: str, parameters: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    raise NotImplementedError("a row is answered with a vector")


def images_a_request(model: str, endpoint: str, detail: str | None) -> int:
    raise SpecError("input.images: a row of a dataset has one text, and is answered with its vector")


def with_images(line: Mapping[str, Any], urls: Sequence[str], detail: str | None) -> dict[str, Any]:
    raise NotImplementedError("a row has one text")


def texts(line: Mapping[str, Any]) -> list[str]:
    return [str(line["text"])]


def with_texts(line: Mapping[str, Any], name: str, texts: Sequence[str]) -> dict[str, Any]:
    raise NotImplementedError("a row has one text")


def request_id(line: Mapping[str, Any]) -> str:
    return str(line["id"])


def output_tokens_at_most(model: str, endpoint: str, parameters: Mapping[str, Any]) -> int | None:
    return 0


def window_hours(job: Mapping[str, Any]) -> float:
    return WINDOW_HOURS


def cuts_texts(model: str, parameters: Mapping[str, Any]) -> bool:
    return bool({**DEFAULTS, **parameters}["truncate"] != "NONE")


def tokenizer(model: str) -> None:
    """Not asked for: a text that is too long is cut."""


def asked(model: str, endpoint: str, parameters: Mapping[str, Any]) -> Asked:
    """https://docs.cohere.com/reference/create-embed-job has no length of vectors."""
    for name in LENGTHS:
        if name in parameters:
            raise SpecError(
                f"model.parameters: {name!r} cannot be had: Cohere's embed jobs take no length of vectors and answer "
                f"in the model's own, so that documents and questions would differ. Leave {name!r} out"
            )
    return Asked(True)


def submit_parameters(input_file_id: str) -> dict[str, Any]:
    return {"dataset_id": input_file_id}


def refusal(message: str) -> type[Transient] | None:
    """A dataset of a killed upload is used again, maybe before the end of the validation."""
    return Throttled if LATER.search(message) else None


def find_query(input_file_id: str) -> None:
    """The answer to a submission holds nothing but the job's id."""


def task_query(job_id: str) -> dict[str, Any]:
    return {"term": {"remote_job.job_id": job_id}}


def job_id(remote_job: Mapping[str, Any]) -> str | None:
    return text(inner(remote_job, "job_id"))


def input_file_id(remote_job: Mapping[str, Any]) -> str | None:
    return text(inner(remote_job, "input_dataset_id")) or text(inner(remote_job, "dataset_id"))


def is_same_model(one: str, other: str) -> bool:
    return one == other


def read_job(remote_job: Mapping[str, Any]) -> RemoteJob:
    """A failed job's document has no reason."""
    said = an_object(remote_job, "embed job")
    found_id = needed(said, "job_id", "embed job")
    status = needed(said, "status", f"embed job {found_id!r}")
    if status not in STATES:
        raise unknown_status(f"embed job {found_id!r}", status, STATES)
    output = text(said.get("output_dataset_id"))
    complete = STATES[status] == "completed"
    return RemoteJob(
        id=found_id,
        state="settling" if complete and not output else STATES[status],
        status=status,
        outputs=(output,) if output and complete else (),
        has_answers=complete,
        created_at=epoch_seconds(said.get("created_at")),
        usage=Usage(count(inner(said, "meta", "billed_units", "input_tokens"))),
        error_code="job_failed" if status == "failed" else None,
        error_message="the provider gives no reason for a failed embed job" if status == "failed" else None,
        model=text(said.get("model")),
    )


class _Line(msgspec.Struct):
    """A line made by the store: a row of the output dataset, with the row's id."""

    id: str
    embedding: msgspec.Raw


_line = decoder(_Line)


def read_line(raw: bytes) -> Answer:
    try:
        line = _line(raw)
    except UnreadableLine as error:
        raise explained(raw, error) from None
    return Answer(line.id, vector=bytes(line.embedding))


def read_many(raw: bytes) -> Iterator[Answer | None]:
    raise NotImplementedError("a row has one text")


def answered(row_id: str, embeddings: Any) -> bytes:
    """Return the line for `read_line` from an output row's `embeddings`: a list, or lists by type, floats first."""
    if isinstance(embeddings, Mapping):
        embeddings = embeddings.get("float") or next(iter(embeddings.values()), None)
    return orjson.dumps({"id": row_id, "embedding": embeddings})


def passes(code: str, status: int | None = None) -> bool:
    """Return False: no job has a reason, and without a reason no job is paid for twice."""
    return False


def job_path(job_id: str) -> str:
    return f"/v1/embed-jobs/{job_id}"


def job_link(job_id: str) -> str:
    return "https://dashboard.cohere.com/"
