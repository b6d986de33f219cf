"""`python -m benchmarks.indexing`: an index of a real OpenSearch, made and started for it: write vectors of a results
file back, and find what changed in a night (nights.py).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import results
from benchmarks.at_index import CLIENT, python, sending
from benchmarks.client_side import DIMENSIONS, INDEX, RESULTS, ROWS, fresh
from benchmarks.measure import Benchmark, Measured, Side, Task, Unequal, measure
from benchmarks.nights import NIGHT, SECOND_RUN

if TYPE_CHECKING:
    from benchmarks.child import Work

HEAP = "2g"


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
    from opensearch_batch.sources.reread import Reread
    from opensearch_batch.spec import BatchSpec
    from opensearch_batch.write_back_section import WriteBackSection

    send = sending(task.url)
    fresh(task.url, task.of(ROWS))
    states = tuple(read_states(send, [INDEX]))
    fields = VectorFields("vector", "vector_provenance", "text-embedding-3-small", "night")
    spec = BatchSpec.check(
        {
            "name": "night",
            "model": {"name": "text-embedding-3-small"},
            "input": {"uri": f"opensearch://here/{INDEX}", "text_field": "body"},
            "output": {"uri": "file:///nowhere"},
        }
    )
    texts = Reread(spec, WriteBackSection(vector_field="vector"))

    def work() -> dict[str, Any]:
        with task.path(RESULTS).open("rb") as lines:
            check = partial(refuse_another, send)
            return {"written": write_vectors(lines, fields, states, send, check, texts).written}

    return work


def check_written(task: Task, results: list[dict[str, Any]]) -> Work:
    def work() -> dict[str, Any]:
        if any(one != {"written": task.of(ROWS)} for one in results):
            raise Unequal(f"not each of {task.of(ROWS)} vectors was written: {results}")
        return {}

    return work


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.indexing", description=__doc__)
    chosen = {one.name: one for one in (WRITE_BACK, NIGHT, SECOND_RUN)}
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
    from stack.opensearch.node import AS_RELEASED, Node

    python()
    for benchmark in [chosen[name] for name in given.names or chosen]:
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            home = Path(folder, "node")
            with Node(given.version, home, free_port(), free_port(), heap=HEAP, java_options=AS_RELEASED) as node:
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
