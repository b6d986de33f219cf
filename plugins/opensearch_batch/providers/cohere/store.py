"""Cohere's datasets and embed jobs through the cohere SDK.

Rows of an output come in the order of the input, part after part. An output row must have the text of the input row at
the same position; else the output row answers no row.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from opensearch_batch.errors import BatchError, InputError, Refused, Unavailable
from opensearch_batch.extras import imported_from
from opensearch_batch.providers.cohere import provider
from opensearch_batch.providers.cohere.avro_parts import rows_at
from opensearch_batch.providers.keyed import KeyedStore
from opensearch_batch.providers.reading import unreadable
from opensearch_batch.providers.refusals import PASSING, refusal
from opensearch_batch.storage import open_binary

if TYPE_CHECKING:
    from cohere import Client

    from opensearch_batch.flow.jobs import Outcome
    from opensearch_batch.flow.shards import Shard

log = logging.getLogger(__name__)

T = TypeVar("T")

NOT_FOUND = 404
PAGE = 50
KIND = "embed-input"
VALIDATION_SECONDS = 1800.0
"""So long an upload waits for the validation; the next try goes on waiting."""
PAUSE_SECONDS = 2.0
GOOD, BAD = ("validated", "skipped"), ("failed",)
REASONS_SHOWN = 2000
"""Characters of a failed validation's own words."""


class CohereDatasets(KeyedStore):
    """`base_url` has no path: the SDK says the version."""

    VERSION_PATH = ""

    def __init__(self, base_url: str, key: str) -> None:
        with imported_from("cohere", f"provider {provider.NAME}"):
            from cohere import Client

        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._client: Client = Client(
            api_key=key, base_url=base_url, timeout=120, log_warning_experimental_features=False
        )

    def upload(self, shard: Shard, name: str) -> str:
        """Return when the dataset is validated. Raise InputError with the rows' reasons, and delete the dataset, where
        the validation fails.
        """
        options: Any = {"max_retries": 0}
        with open_binary(shard.uri) as source:
            made = _asked(
                lambda: self._client.datasets.create(
                    name=name,
                    type=KIND,
                    data=(name, source, "application/jsonl"),
                    keep_fields=["id"],
                    request_options=options,
                ),
                f"upload {name}",
            )
        if not made.id:
            raise Unavailable(f"upload {name}: the answer has no dataset id")
        self._validated(made.id, name)
        return str(made.id)

    def _validated(self, dataset_id: str, name: str) -> None:
        until = time.monotonic() + VALIDATION_SECONDS
        while True:
            dataset = self._dataset(dataset_id)
            if dataset is None or dataset["validation_status"] in BAD:
                self.delete_file(dataset_id)
                why = (dataset or {}).get("validation_error") or "no reason given"
                warnings = "; ".join((dataset or {}).get("validation_warnings") or [])
                raise InputError(
                    f"dataset {dataset_id} ({name}) was not accepted by the provider: {str(why)[:REASONS_SHOWN]} "
                    f"{warnings[:REASONS_SHOWN]} Mend these rows of the input and clear prepare_input."
                )
            if dataset["validation_status"] in GOOD:
                return
            if time.monotonic() > until:
                raise Unavailable(
                    f"dataset {dataset_id} ({name}) is still {dataset['validation_status']} after "
                    f"{VALIDATION_SECONDS:.0f} s; the next try goes on with it"
                )
            time.sleep(PAUSE_SECONDS)

    def _dataset(self, dataset_id: str) -> dict[str, Any] | None:
        """Return None for an unknown id."""
        try:
            found = _asked(lambda: self._client.datasets.get(dataset_id).dataset, f"get dataset {dataset_id}")
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return None
        return _plain(found)

    def _datasets(self) -> Iterator[dict[str, Any]]:
        """All input datasets, a page at a time, in the vendor's order."""
        at = 0
        while True:
            page = _asked(
                partial(self._client.datasets.list, dataset_type=KIND, limit=PAGE, offset=at), "list datasets"
            )
            found = page.datasets or []
            yield from map(_plain, found)
            if len(found) < PAGE:
                return
            at += len(found)

    def find_uploads(self, prefix: str) -> dict[str, str]:
        """Datasets under validation count too: a job of such a dataset must be found. Failed datasets do not count."""
        ours = [
            each
            for each in self._datasets()
            if each["name"].startswith(prefix) and each["validation_status"] not in BAD
        ]
        ours.sort(key=lambda each: each["created_at"], reverse=True)
        return {each["name"]: each["id"] for each in ours}

    def recent_uploads(self, since: float) -> Iterator[dict[str, Any]]:
        found = sorted(self._datasets(), key=lambda each: each["created_at"], reverse=True)
        for each in found:
            if each["created_at"] < since:
                return
            about = {"id": each["id"], "filename": each["name"], "created_at": each["created_at"]}
            yield about | {"bytes": _size_of(each)}

    def stored_bytes(self) -> int:
        usage = _asked(self._client.datasets.get_usage, "get the usage of datasets")
        return int(usage.organization_usage or 0)

    def delete_file(self, file_id: str) -> bool:
        try:
            _asked(lambda: self._client.datasets.delete(file_id), f"delete dataset {file_id}")
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return False
        return True

    def file_bytes(self, file_id: str) -> int | None:
        dataset = self._dataset(file_id)
        return None if dataset is None else _size_of(dataset)

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        """The list has no filter and no pages."""
        ours = [job for job in self._jobs() if job.get("input_dataset_id") == input_file_id]
        return ours[::-1]

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        return (job for job in self._jobs() if (job.get("created_at") or since) >= since)

    def _jobs(self) -> list[dict[str, Any]]:
        """Newest first."""
        found = _asked(lambda: self._client.embed_jobs.list().embed_jobs or [], "list embed jobs")
        return sorted(map(_plain, found), key=lambda job: job.get("created_at") or 0.0, reverse=True)

    def get_job(self, job_id: str) -> dict[str, Any]:
        return _plain(_asked(lambda: self._client.embed_jobs.get(job_id), f"get embed job {job_id}"))

    def list_jobs(self, ids: Collection[str], most_pages: int, since: float | None) -> dict[str, dict[str, Any]]:
        return {job["job_id"]: job for job in self._jobs() if job["job_id"] in ids}

    def cancel_job(self, job_id: str) -> None:
        _asked(lambda: self._client.embed_jobs.cancel(job_id), f"cancel embed job {job_id}")

    def lines(self, file_id: str) -> Iterator[bytes]:
        """Yield the rows of an input dataset; a row without an id is named by position, from 0."""
        for place, row in enumerate(self._rows(file_id)):
            yield orjson.dumps({"id": str(row.get("id") or place), "text": row["text"]})

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        asked = self._asked_rows(outcome)
        made = (row for dataset_id in outcome.outputs for row in self._rows(dataset_id))
        for line, row in zip_longest(asked, made):
            if row is None:
                return
            if line is None:
                yield unreadable("a row of the output that no row of the input stands for")
                continue
            said = orjson.loads(line)
            if row.get("text") != said["text"] or (row.get("id") or said["id"]) != said["id"]:
                yield unreadable("a row of the output that is about another text than the row at its place")
            else:
                yield provider.answered(said["id"], row.get("embeddings"))

    def _asked_rows(self, outcome: Outcome) -> Iterator[bytes]:
        """Yield the input rows in the order of the upload."""
        shard = outcome.job.shard
        if shard is None:
            yield from self.lines(str(outcome.job.input_file_id))
            return
        with open_binary(shard.uri) as lines:
            yield from lines

    def usage(self, outcome: Outcome) -> None:
        """The job's document may have the usage."""

    def _rows(self, dataset_id: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of all parts. Raise Unavailable for a part that does not arrive whole."""
        dataset = self._dataset(dataset_id)
        if dataset is None:
            raise Refused(
                f"download dataset {dataset_id}: the provider no longer has it; datasets are kept for 30 days. What "
                "landed before stays as it is. To have its rows again, give them to a new run.",
                status=NOT_FOUND,
            )
        parts = sorted(dataset.get("dataset_parts") or [], key=lambda part: part.get("index") or 0)
        for part in parts:
            count, what = 0, f"part {part['name']} of dataset {dataset_id}"
            if not part.get("url"):
                raise Unavailable(f"{what} has no address")
            for row in rows_at(part["url"], part.get("size_bytes"), what):
                count += 1
                yield row
            if part.get("num_rows") is not None and count != part["num_rows"]:
                raise Unavailable(f"{what}: {count} of {part['num_rows']} rows came")


def _plain(model: Any) -> dict[str, Any]:
    """Return a document as the cluster would, but with times as epoch seconds."""
    found: dict[str, Any] = model.dict()
    return {key: value.timestamp() if isinstance(value, datetime) else value for key, value in found.items()}


def _size_of(dataset: dict[str, Any]) -> int:
    return sum(int(part.get("size_bytes") or 0) for part in dataset.get("dataset_parts") or [])


def _asked(ask: Callable[[], T], what: str) -> T:
    """Translate the SDK's errors into ours."""
    import httpx
    from cohere.core.api_error import ApiError

    try:
        return ask()
    except ApiError as error:
        raise _refusal(what, error) from None
    except httpx.HTTPError as error:
        raise Unavailable(
            f"{what}: no answer from the provider ({type(error).__name__}: {error}). Is the connection's host right?"
        ) from None


def _refusal(what: str, error: Any) -> BatchError:
    status = error.status_code or 0
    said = error.body.get("message") if isinstance(error.body, dict) else error.body
    message = f"{what}: HTTP {status}: {str(said)[:600].rstrip('. ')}."
    return refusal(message, status, error.headers or {}, PASSING | {0, 499}, of_the_key=(401, 403, 498))
