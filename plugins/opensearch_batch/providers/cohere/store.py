"""Cohere's datasets and embed jobs through the cohere SDK.

Rows of an output come in the order of the input, part after part. An output row must have the text of the input row at
the same position; else the output row answers no row.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import orjson

from opensearch_batch.errors import InputError, Refused, Unavailable
from opensearch_batch.extras import imported_from
from opensearch_batch.providers.cohere import provider
from opensearch_batch.providers.cohere.avro_parts import rows_at
from opensearch_batch.providers.cohere.sdk import name_of, plain_of, size_of, through_sdk, time_of
from opensearch_batch.providers.keyed import KeyedStore
from opensearch_batch.providers.listing import walked
from opensearch_batch.providers.reading import unreadable
from opensearch_batch.providers.shape import count, entries, needed, number, of_input, text, words
from opensearch_batch.storage import open_binary

if TYPE_CHECKING:
    from cohere import Client

    from opensearch_batch.flow.jobs import Outcome
    from opensearch_batch.flow.shards import Shard

log = logging.getLogger(__name__)

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

    @classmethod
    def require_libraries(cls) -> None:
        with imported_from("cohere", f"provider {provider.NAME}"):
            import cohere  # noqa: F401
            import fastavro  # noqa: F401

    @classmethod
    def parameters(cls, model: str, endpoint: str) -> Collection[str]:
        """https://docs.cohere.com/reference/create-embed-job."""
        return ("input_type", "truncate", "embedding_types")

    def upload(self, shard: Shard, name: str) -> str:
        """Return when the dataset is validated. Raise InputError with the rows' reasons, and delete the dataset, where
        the validation fails.
        """
        options: Any = {"max_retries": 0}
        with open_binary(shard.uri) as source:
            made = through_sdk(
                lambda: self._client.datasets.create(
                    name=name,
                    type=KIND,
                    data=(name, source, "application/jsonl"),
                    keep_fields=["id"],
                    request_options=options,
                ).dict(),
                f"upload {name}",
            )
        dataset_id = needed(made, "id", f"upload {name}")
        self._validated(dataset_id, name)
        return dataset_id

    def _validated(self, dataset_id: str, name: str) -> None:
        until = time.monotonic() + VALIDATION_SECONDS
        while True:
            dataset = self._dataset(dataset_id)
            status = (dataset or {}).get("validation_status")
            if dataset is None or status in BAD:
                self.delete_file(dataset_id)
                why = words((dataset or {}).get("validation_error")) or "no reason given"
                warnings = words((dataset or {}).get("validation_warnings")) or ""
                raise InputError(
                    f"dataset {dataset_id} ({name}) was not accepted by the provider: {why[:REASONS_SHOWN]} "
                    f"{warnings[:REASONS_SHOWN]} Mend these rows of the input and clear prepare_input."
                )
            if status in GOOD:
                return
            if time.monotonic() > until:
                raise Unavailable(
                    f"dataset {dataset_id} ({name}) is still {status} after "
                    f"{VALIDATION_SECONDS:.0f} s; the next try goes on with it"
                )
            time.sleep(PAUSE_SECONDS)

    def _dataset(self, dataset_id: str) -> dict[str, Any] | None:
        """Return None for an unknown id."""
        what = f"get dataset {dataset_id}"
        try:
            found = through_sdk(lambda: plain_of(self._client.datasets.get(dataset_id).dataset), what)
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return None
        needed(found, "id", what)
        return found

    def _datasets(self) -> Iterator[dict[str, Any]]:
        """All input datasets, a page at a time, in the vendor's order."""

        def page_at(at: int | None) -> tuple[list[dict[str, Any]], int | None]:
            page = through_sdk(
                lambda: self._client.datasets.list(dataset_type=KIND, limit=PAGE, offset=at or 0).dict(),
                "list datasets",
            )
            found = [plain_of(each) for each in entries(page, "datasets", "list datasets")]
            return found, None if len(found) < PAGE else (at or 0) + len(found)

        return walked(page_at, lambda each: each.get("id"), "list datasets")

    def find_uploads(self, prefix: str) -> dict[str, str]:
        """Datasets under validation count too: a job of such a dataset must be found. Failed datasets do not count."""
        ours = [
            each
            for each in self._datasets()
            if name_of(each).startswith(prefix) and each.get("validation_status") not in BAD
        ]
        ours.sort(key=time_of, reverse=True)
        return {name_of(each): dataset_id for each in ours if (dataset_id := text(each.get("id")))}

    def recent_uploads(self, since: float) -> Iterator[dict[str, Any]]:
        named = [each for each in self._datasets() if text(each.get("id")) and name_of(each)]
        for each in sorted(named, key=time_of, reverse=True):
            made_at = time_of(each) or since
            if made_at < since:
                return
            about = {"id": each["id"], "filename": name_of(each), "created_at": made_at}
            yield about | {"bytes": size_of(each)}

    def stored_bytes(self) -> int:
        usage = through_sdk(lambda: self._client.datasets.get_usage().dict(), "get the usage of datasets")
        return count(usage.get("organization_usage"))

    def delete_file(self, file_id: str) -> bool:
        try:
            through_sdk(lambda: self._client.datasets.delete(file_id), f"delete dataset {file_id}")
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return False
        return True

    def file_bytes(self, file_id: str) -> int | None:
        dataset = self._dataset(file_id)
        return None if dataset is None else size_of(dataset)

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        """The list has no filter and no pages."""
        return of_input(self._jobs(), provider.input_file_id, input_file_id, "list embed jobs")[::-1]

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        return (job for job in self._jobs() if (time_of(job) or since) >= since)

    def _jobs(self) -> list[dict[str, Any]]:
        """Newest first."""
        page = through_sdk(lambda: self._client.embed_jobs.list().dict(), "list embed jobs")
        found = [plain_of(each) for each in entries(page, "embed_jobs", "list embed jobs")]
        return sorted(found, key=time_of, reverse=True)

    def get_job(self, job_id: str) -> dict[str, Any]:
        return through_sdk(lambda: plain_of(self._client.embed_jobs.get(job_id)), f"get embed job {job_id}")

    def list_jobs(self, ids: Collection[str], most_pages: int, since: float | None) -> dict[str, dict[str, Any]]:
        return {job_id: job for job in self._jobs() if (job_id := provider.job_id(job) or "") in ids}

    def cancel_job(self, job_id: str) -> None:
        """The SDK looks at no answer to it, so the job is looked at."""
        through_sdk(lambda: self._client.embed_jobs.cancel(job_id), f"cancel embed job {job_id}")
        if provider.read_job(self.get_job(job_id)).state == "running":
            raise Unavailable(f"cancel embed job {job_id}: it runs on")

    def lines(self, file_id: str) -> Iterator[bytes]:
        """Yield the rows of an input dataset; a row without an id is named by position, from 0."""
        for place, row in enumerate(self._rows(file_id)):
            yield orjson.dumps({"id": str(row.get("id") or place), "text": row["text"]})

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        sent = self._rows_sent(outcome)
        made = (row for dataset_id in outcome.outputs for row in self._rows(dataset_id))
        for rows, (line, row) in enumerate(zip_longest(sent, made)):
            if row is None and outcome.state != "completed":
                return
            if row is None:
                raise Unavailable(
                    f"{outcome.job.name} is complete, and its output has {rows} rows, its input has more. "
                    "The output is read again; nothing is sent again",
                    retry_after_seconds=60,
                )
            if line is None:
                yield unreadable("a row of the output that no row of the input stands for")
                continue
            said = orjson.loads(line)
            if row.get("text") != said["text"] or (row.get("id") or said["id"]) != said["id"]:
                yield unreadable("a row of the output that is about another text than the row at its place")
            else:
                yield provider.answered(said["id"], row.get("embeddings"))

    def _rows_sent(self, outcome: Outcome) -> Iterator[bytes]:
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
        what = f"dataset {dataset_id}"
        for part in sorted(entries(dataset, "dataset_parts", what), key=lambda part: count(part.get("index"))):
            came, of_it = 0, f"part {text(part.get('name'))} of {what}"
            for row in rows_at(needed(part, "url", of_it), count(part.get("size_bytes")), of_it):
                came += 1
                yield row
            told = number(part.get("num_rows"))
            if told is not None and came != told:
                raise Unavailable(f"{of_it}: {came} of {told:.0f} rows came")
