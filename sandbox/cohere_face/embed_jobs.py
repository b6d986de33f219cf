"""/v1/embed-jobs: https://docs.cohere.com/reference/create-embed-job. Real vectors, in the order of the dataset."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.responses import JSONResponse

from sandbox.backlog import Backlog, Stopped
from sandbox.cohere_face import datasets, parts
from sandbox.cohere_face.datasets import Datasets
from sandbox.cohere_face.embedding import JOB_MODELS, check, json_of, vectors_of
from sandbox.cohere_face.errors import CohereError
from sandbox.odd_lines import OddLines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box


KIND = "cohere_embed_job"
FAULTS = (
    "lose_row", "duplicate_row", "foreign_row", "reorder", "fail_batch", "cancel", "odd_vectors", "id_later",
    "file_later", "rows_later", "refuse_file",
)  # fmt: skip
CHUNK_ROWS = 256
FINAL = ("complete", "cancelled", "failed")
STEPS = 2
"""Reads, or parts of the pace's time, from processing to its end."""


class EmbedJobs:
    def __init__(self, box: Box, held: Datasets) -> None:
        self._box, self._datasets = box, held
        self._backlog = Backlog("sandbox-cohere", self._execute, self._failed)
        self.stop = self._backlog.stop

    async def create(self, request: Request) -> Response:
        body = await json_of(request)
        check(body.get("model"), body.get("input_type"), JOB_MODELS)
        dataset = self._datasets.find(str(body.get("dataset_id")))
        if not self._datasets.is_validated(dataset):
            raise CohereError(400, f"dataset {dataset['id']} is not validated")
        if body.get("embedding_types") not in (None, ["float"]):
            raise CohereError(501, f"the sandbox does not serve embedding_types {body['embedding_types']}")
        id_ = str(uuid4())
        public = {
            "job_id": id_,
            "name": body.get("name"),
            "status": "processing",
            "created_at": datetime.now(UTC).isoformat(),
            "input_dataset_id": dataset["id"],
            "output_dataset_id": None,
            "model": body["model"],
            "truncate": body.get("truncate", "END"),
            "meta": {"api_version": {"version": "1"}},
        }
        work = {
            "made_at": time.time(),
            "reads": 0,
            "reads_since_end": 0,
            "faults": self._box.faults.take_for_batch(FAULTS),
            "done": None,
            "output": None,
            "rows": 0,
            "tokens": 0,
            "cancelled_at": None,
        }
        self._box.state.put(KIND, id_, {"public": public, "work": work})
        self._backlog.take(id_)
        return JSONResponse({"job_id": id_, "meta": public["meta"]})

    async def list_all(self, request: Request) -> Response:
        lag = self._box.faults.take("list_lag", request.method, request.url.path)
        horizon = time.time() - lag.number("seconds", 0) if lag else float("inf")
        ids = [each.id for each in self._box.state.all(KIND) if each.body["work"]["made_at"] <= horizon]
        return JSONResponse({"embed_jobs": [self._look(id_, counts=False) for id_ in reversed(ids)]})

    async def get(self, request: Request) -> Response:
        return JSONResponse(self._look(request.path_params["id"], counts=True))

    async def cancel(self, request: Request) -> Response:
        public = self._look(request.path_params["id"], counts=False)
        if public["status"] in FINAL:
            raise CohereError(400, f"embed job {public['job_id']} is {public['status']} and cannot be cancelled")
        self._box.state.update(KIND, public["job_id"], _cancelled)
        return JSONResponse({})

    def ledger(self) -> list[dict[str, Any]]:
        """Every job that was accepted."""
        found = []
        for each in self._box.state.all(KIND):
            public = self._look(each.id, counts=False)
            found.append(
                {
                    "provider": "cohere",
                    "id": each.id,
                    "name": public["name"],
                    "input": public["input_dataset_id"],
                    "model": public["model"],
                    "requests": each.body["work"]["rows"],
                    "status": public["status"],
                    "created_at": int(each.body["work"]["made_at"]),
                    "input_tokens": each.body["work"]["tokens"],
                }
            )
        return found

    def start(self) -> None:
        found = self._box.state.all(KIND)
        self._backlog.start(each.id for each in found if each.body["work"]["done"] is None)

    def _look(self, id: str, *, counts: bool) -> dict[str, Any]:
        def change(body: dict[str, Any]) -> None:
            body["work"]["reads"] += counts
            self._advance(body)
            body["work"]["reads_since_end"] += counts and body["public"]["status"] in FINAL

        stored = self._box.state.get(KIND, id)
        if stored is not None and (counts or stored.body["public"]["status"] not in FINAL):
            stored = self._box.state.update(KIND, id, change)
        if stored is None:
            raise CohereError(404, f"embed job with id {id} not found")
        public: dict[str, Any] = stored.body["public"]
        order = stored.body["work"]["faults"].get("id_later")
        if order is None or stored.body["work"]["reads_since_end"] > int(order.get("reads", 1)) >= 0:
            return public
        return {**public, "output_dataset_id": None}

    def _advance(self, body: dict[str, Any]) -> None:
        public, work = body["public"], body["work"]
        if public["status"] in FINAL or work["done"] is None:
            return
        since = work["cancelled_at"] or {"at": work["made_at"], "reads": 0}
        if self._box.pace.steps(work["reads"] - since["reads"], time.time() - since["at"], STEPS) < STEPS:
            return
        public["status"] = work["done"]
        if work["done"] == "complete":
            public["output_dataset_id"] = work["output"]
            public["meta"] = {**public["meta"], "billed_units": {"input_tokens": work["tokens"]}}

    def _failed(self, id: str, error: Exception) -> None:
        self._tell(id, done="failed")

    def _execute(self, id: str) -> None:
        stored = self._box.state.get(KIND, id)
        if stored is None or stored.body["work"]["done"] is not None:
            return
        public, faults = stored.body["public"], stored.body["work"]["faults"]
        if "fail_batch" in faults or "cancel" in faults:
            self._tell(id, done="failed" if "fail_batch" in faults else "cancelled")
            return
        source = self._box.state.get(datasets.KIND, public["input_dataset_id"])
        if source is None:
            self._tell(id, done="failed")
            return
        output = f"embeds-{id}"
        kept = source.body["kept"]
        odd = OddLines(faults)
        rows = map(odd.treat_row, damaged(self._embedded(id, source.body["parts"]), faults))
        schema, made = parts.write(
            self._box.state.files, output, rows, kept, embedded=True, nullable="odd_vectors" in faults
        )
        body = datasets.document(output, f"embeds for {public['input_dataset_id']}", datasets.RESULT, kept)
        trouble = self._trouble(output, made, kept, faults)
        self._box.state.put(datasets.KIND, output, body | {"schema": schema, "parts": made, "trouble": trouble})
        self._box.state.update(KIND, id, lambda body: _completed(body, output))

    def _trouble(
        self, output: str, made: list[dict[str, Any]], kept: list[str], faults: dict[str, Any]
    ) -> dict[str, Any]:
        """What was ordered for the dataset of the results."""
        found: dict[str, Any] = {}
        if (later := faults.get("file_later")) is not None:
            found["refused"] = {"status": 404, "reads": int(later.get("reads", 1))}
        if faults.get("refuse_file", {}).get("which") == "output":
            found["refused"] = {"status": int(faults["refuse_file"].get("status", 404)), "reads": -1}
        if (short := faults.get("rows_later")) is not None:
            folder, count = self._box.state.files, int(short.get("count", 1))
            left = sum(part["num_rows"] for part in made) - count
            rows = itertools.islice(parts.read(folder, made), max(0, left))
            _, early = parts.write(
                folder, f"{output}-early", rows, kept, embedded=True, nullable="odd_vectors" in faults
            )
            found["short"] = {"parts": early, "reads": int(short.get("reads", 1))}
        return found

    def _embedded(self, id: str, source: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        rows, count, tokens = parts.read(self._box.state.files, source), 0, 0
        while some := list(itertools.islice(rows, CHUNK_ROWS)):
            stored = self._box.state.get(KIND, id)
            if self._backlog.stopping or stored is None or stored.body["work"]["done"] is not None:
                raise Stopped
            vectors, added = vectors_of([row["text"] for row in some])
            count, tokens = count + len(some), tokens + added
            self._tell(id, rows=count, tokens=tokens)
            for row, vector in zip(some, vectors, strict=True):
                yield {**row, "embeddings": {"float": vector}}

    def _tell(self, id: str, **known: Any) -> None:
        self._box.state.update(KIND, id, lambda body: body["work"].update(known))


def _completed(body: dict[str, Any], output: str) -> None:
    """A job that was cancelled while its last rows were worked off stays cancelled."""
    if body["work"]["done"] is None:
        body["work"].update(done="complete", output=output)


def _cancelled(body: dict[str, Any]) -> None:
    work = body["work"]
    body["public"]["status"] = "cancelling"
    work.update(done="cancelled", cancelled_at={"at": time.time(), "reads": work["reads"]})


def damaged(rows: Iterator[dict[str, Any]], faults: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows as ordered: some lost, told twice, strange, or the first ones turned round."""
    lost = int(faults.get("lose_row", {}).get("count", 1)) if "lose_row" in faults else 0
    twice = int(faults.get("duplicate_row", {}).get("count", 1)) if "duplicate_row" in faults else 0
    strange = int(faults.get("foreign_row", {}).get("count", 1)) if "foreign_row" in faults else 0
    rows = itertools.islice(rows, lost, None)
    if "reorder" in faults:
        rows = itertools.chain(list(itertools.islice(rows, CHUNK_ROWS))[::-1], rows)
    for number, row in enumerate(rows):
        if number < strange:
            yield {**row, "text": "nobody asked for this", **({"id": "nobody"} if "id" in row else {})}
        yield row
        if number < twice:
            yield row
