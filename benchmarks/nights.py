"""What a run reads of an index that a run has read before: where 1 % was edited since, and where nothing was."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from benchmarks.at_index import CLIENT, python, sending
from benchmarks.client_side import DOCUMENTS, INDEX, MODEL_HASH, counted, fill, fresh
from benchmarks.measure import Benchmark, Side, Task, Unequal

if TYPE_CHECKING:
    from benchmarks.child import Work
    from opensearch_batch.spec import BatchSpec

WORDS_A_TEXT, EDITED = 100, 100
"""Each hundredth document is edited."""
MOST_OF_THE_BYTES = 0.05

NIGHT = Benchmark(
    name="night",
    title="find the 1 % of the documents that changed (`sources.changed`)",
    sides=(
        Side("ours", "nights:night"),
        Side(f"{CLIENT}: `helpers.scan` with orjson, each text hashed", "client_side:night", python),
    ),
    make="nights:make_documents",
    check="nights:check_changed",
)

SECOND_RUN = Benchmark(
    name="second_run",
    title="find nothing to send in documents that a run has read before (`sources.changed`)",
    sides=(
        Side("ours", "nights:second_run"),
        Side("ours, the first run's reading and hashing alone", "nights:first_run"),
    ),
    make="nights:make_unchanged",
    check="nights:check_unchanged",
)


def spec_of(task: Task, model: str = "text-embedding-3-small") -> BatchSpec:
    from opensearch_batch.spec import BatchSpec

    return BatchSpec.check(
        {
            "name": "night",
            "model": {"name": model},
            "input": {"uri": f"opensearch://bench/{INDEX}", "text_field": "body"},
            "output": {"uri": task.path("out").as_uri()},
            "work_uri": task.path("work").as_uri(),
            "write_back": {"vector_field": "vector"},
        }
    )


def make_unchanged(task: Task) -> Work:
    """Documents that have the vector of their text, read by a run before. The vectors themselves are left out: no side
    reads them.
    """
    from benchmarks.preparing import WORDS
    from opensearch_batch.flow.text_hash import text_hash
    from opensearch_batch.sources.changed import ChangedDocuments
    from opensearch_batch.sources.checkpoint import move_checkpoint
    from opensearch_batch.sources.hashed import hash_of_model

    def work() -> dict[str, Any]:
        sending(task.url)
        spec, count, chance = spec_of(task), task.of(DOCUMENTS), random.Random(1)
        model = hash_of_model(spec)
        task.path(MODEL_HASH).write_bytes(model)

        def document(text: str) -> dict[str, Any]:
            made_from = {"model": spec.model.name, "text_hash": text_hash(model, text), "run": "before"}
            return {"body": text, "vector_provenance": made_from}

        texts = [" ".join(chance.choices(WORDS, k=WORDS_A_TEXT)) for _ in range(1000)]
        fresh(task.url, 0)
        fill(task.url, (document(f"{texts[number % 1000]} {number}") for number in range(count)))
        seen = ChangedDocuments.of(spec)
        if seen.question is None or not move_checkpoint(spec, seen.question, seen.states, {}):
            raise RuntimeError("no checkpoint was kept")
        return {"rows": count, "bytes": sum(len(text) for text in texts) * count // 1000}

    return work


def make_documents(task: Task) -> Work:
    """The same, then each hundredth document is edited."""
    make = make_unchanged(task)

    def work() -> dict[str, Any]:
        made: dict[str, Any] = make()
        edits = ({"doc": {"body": f"edited {number}"}} for number in range(0, task.of(DOCUMENTS), EDITED))
        fill(task.url, edits, "update", step=EDITED)
        return made

    return work


def second_run(task: Task) -> Work:
    from opensearch_batch.sources.changed import ChangedDocuments

    sending(task.url)

    def work() -> dict[str, Any]:
        return {"to send": sum(1 for _ in ChangedDocuments.of(spec_of(task)).rows())}

    return work


def first_run(task: Task) -> Work:
    """A model that no document has a vector of: each is read and hashed, and has to be sent."""
    from opensearch_batch.sources.changed import ChangedDocuments

    sending(task.url)

    def work() -> dict[str, Any]:
        return {"to send": sum(1 for _ in ChangedDocuments.of(spec_of(task, "text-embedding-3-large")).rows())}

    return work


def check_unchanged(task: Task, results: list[dict[str, Any]]) -> Work:
    def work() -> dict[str, Any]:
        expected = [{"to send": 0}, {"to send": task.of(DOCUMENTS)}]
        if results != expected:
            raise Unequal(f"{expected} was expected, and found was {results}")
        return {}

    return work


def night(task: Task) -> Work:
    from opensearch_batch.sources.changed import ChangedDocuments

    sending(task.url)
    spec = spec_of(task)

    def work() -> dict[str, Any]:
        with counted() as received:
            changed = sum(1 for _ in ChangedDocuments.of(spec).rows())
        return {"changed": changed, "bytes": received[0]}

    return work


def check_changed(task: Task, results: list[dict[str, Any]]) -> Work:
    def work() -> dict[str, Any]:
        ours, others = results
        edited = len(range(0, task.of(DOCUMENTS), EDITED))
        if (ours["changed"], others["changed"]) != (edited, edited):
            raise Unequal(f"{edited} documents were edited, and found were {results}")
        if not 0 < ours["bytes"] <= MOST_OF_THE_BYTES * others["bytes"]:
            raise Unequal(f"more than {MOST_OF_THE_BYTES:.0%} of the bytes were read: {results}")
        return {}

    return work
