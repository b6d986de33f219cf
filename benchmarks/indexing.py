"""`python -m benchmarks.indexing`: an index of a real OpenSearch, made and started for it, beside opensearch-py: write
vectors of a results file back, and find what changed in a night.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks import results
from benchmarks.client_side import DIMENSIONS, DOCUMENTS, INDEX, MODEL_HASH, RESULTS, ROWS, counted, fill, fresh
from benchmarks.measure import Benchmark, Measured, Side, Task, Unequal, measure
from benchmarks.venvs import python_with

if TYPE_CHECKING:
    from benchmarks.child import Work
    from opensearch_batch.cluster.ml_commons import Call
    from opensearch_batch.sinks.bulk import Send
    from opensearch_batch.spec import BatchSpec

CLIENT = "opensearch-py==3.0.0"
WORDS_A_TEXT, EDITED = 100, 100
"""Each hundredth document is edited."""
MOST_OF_THE_BYTES = 0.05
HEAP = "2g"


def python() -> str:
    """The interpreter of the client's venv."""
    return python_with("opensearch-py", CLIENT, "orjson")


WRITE_BACK = Benchmark(
    name="write_back",
    title=f"write vectors of {DIMENSIONS} numbers back (`sinks.index.write_vectors`; lucene)",
    sides=(
        Side("ours", "indexing:write_back"),
        Side(f"{CLIENT}: `parallel_bulk` with orjson", "client_side:write_back", python),
    ),
    make="indexing:make_results",
    check="indexing:check_written",
)

NIGHT = Benchmark(
    name="night",
    title="find the 1 % of the documents that changed (`sources.changed`)",
    sides=(
        Side("ours", "indexing:night"),
        Side(f"{CLIENT}: `helpers.scan` with orjson, each text hashed", "client_side:night", python),
    ),
    make="indexing:make_documents",
    check="indexing:check_changed",
)


def sending(url: str) -> Send:
    """The way to the cluster that tasks have."""
    import os

    at = urlsplit(url)
    connection = {"conn_type": "http", "schema": "http", "host": at.hostname, "port": at.port}
    os.environ["AIRFLOW_CONN_BENCH"] = json.dumps(connection)
    from opensearch_batch.tasks.base import cluster

    send = cluster("bench")

    def sent(call: Call) -> Any:
        return send(call)

    return sent


def make_results(task: Task) -> Work:
    """As a run lands them: the numbers as the provider wrote them."""

    def work() -> dict[str, Any]:
        chance, rows = random.Random(1), task.of(ROWS)
        numbers = [f"{chance.gauss(0, 0.03):.9f}".replace("-0.000000000", "0.000000001") for _ in range(4096)]
        with task.path(RESULTS).open("w", encoding="ascii") as out:
            for number in range(rows):
                document = f'{{"index":"{INDEX}","id":"{number}","seq_no":{number},"primary_term":1}}'
                vector = ",".join(chance.choices(numbers, k=DIMENSIONS))
                out.write(
                    f'{{"id":"{number}","_text_hash":"{number:032x}","_document":{document},"embedding":[{vector}]}}\n'
                )
        return {"rows": rows, "bytes": task.path(RESULTS).stat().st_size}

    return work


def write_back(task: Task) -> Work:
    from opensearch_batch.sinks.index import VectorFields, write_vectors
    from opensearch_batch.sources.index_rows import read_states, refuse_another

    send = sending(task.url)
    fresh(task.url, task.of(ROWS))
    states = tuple(read_states(send, [INDEX]))
    fields = VectorFields("vector", "vector_provenance", "text-embedding-3-small", "night")

    def work() -> dict[str, Any]:
        with task.path(RESULTS).open("rb") as lines:
            return {"written": write_vectors(lines, fields, states, send, partial(refuse_another, send)).written}

    return work


def check_written(task: Task, results: list[dict[str, Any]]) -> Work:
    def work() -> dict[str, Any]:
        if any(one != {"written": task.of(ROWS)} for one in results):
            raise Unequal(f"not each of {task.of(ROWS)} vectors was written: {results}")
        return {}

    return work


def spec_of(task: Task) -> BatchSpec:
    from opensearch_batch.spec import BatchSpec

    return BatchSpec.check(
        {
            "name": "night",
            "model": {"name": "text-embedding-3-small"},
            "input": {"uri": f"opensearch://bench/{INDEX}", "text_field": "body"},
            "output": {"uri": task.path("out").as_uri()},
            "work_uri": task.path("work").as_uri(),
            "write_back": {"vector_field": "vector"},
        }
    )


def make_documents(task: Task) -> Work:
    """Documents that have the vector of their text, read by a run before; then each hundredth is edited. The vectors
    themselves are left out: neither side reads them.
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
        edits = ({"doc": {"body": f"edited {number}"}} for number in range(0, count, EDITED))
        fill(task.url, edits, "update", step=EDITED)
        return {"rows": count, "bytes": sum(len(text) for text in texts) * count // 1000}

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


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.indexing", description=__doc__)
    chosen = {one.name: one for one in (WRITE_BACK, NIGHT)}
    parser.add_argument("names", nargs="*", metavar="name", help=f"default: {' '.join(chosen)}")
    parser.add_argument("--version", default="2.19.6", help="of OpenSearch (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=0.1, help="1 is the full size (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="medians are taken over so many (default: 5)")
    parser.add_argument("--results", type=Path, default=results.FILE, help="file for the table (default: %(default)s)")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(chosen):
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}")
    if given.scale <= 0 or given.rounds < 1:
        parser.error("--scale is above 0, --rounds at least 1")
    from stack.home import free_port
    from stack.opensearch.node import Node

    python()
    for benchmark in [chosen[name] for name in given.names or chosen]:
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            home = Path(folder, "node")
            with Node(given.version, home, free_port(), free_port(), heap=HEAP) as node:
                measured = measured_on(node.url, folder, benchmark, given.scale, given.rounds)
        command = f"python -m benchmarks.indexing {benchmark.name} --scale {given.scale:g} --rounds {given.rounds}"
        page = results.page([measured], scale=given.scale, rounds=given.rounds, command=command)
        size = "" if given.scale == 1 else f", scale {given.scale:g}"
        results.keep(given.results, f"Beside others: {benchmark.name} in OpenSearch {given.version}{size}", page)
        print(results.table([measured]))


def measured_on(url: str, folder: str, benchmark: Benchmark, scale: float, rounds: int) -> Measured:
    return measure(benchmark, Task(folder, url, scale), rounds, lambda said: print(said, file=sys.stderr))


if __name__ == "__main__":
    main()
