"""Making, copying, carrying over, swapping and rolling back, each killed at each of its calls, before it or after it:
the next tries end as if nothing was, document by document.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opensearch_batch.beside import carrying
from opensearch_batch.sinks import bulk as sink
from opensearch_batch.sources import index_rows
from tests.index.bench import Cluster, Index, articles
from tests.index.beside import OLD, Beside, behind, lead
from tests.index.test_killed import Reaper, folder
from tests.sandbox.bench import Run, Server


def told(index: Index) -> dict[str, Any]:
    """All but the name of the run, and versions: a document that is written again has another."""
    found = {name: hit["_source"] for name, hit in index.hits.items()}
    for source in found.values():
        source.get("vector_provenance", {}).pop("run", None)
    return found


def begun(cluster: Cluster, name: str, place: Path, model_id: str) -> Beside:
    index = cluster.index(f"{name}-old", shards=1)
    index.add({each: {**source, **OLD} for each, source in articles(16).items()})
    lead(cluster, name, index)
    settings = {"write_back": {"max_without_vector": 0.5}}
    return Beside(Run(folder(place, name), name), index, model_id, settings, alias=name)


def edit(index: Index, first: int) -> None:
    index.edit(f"a{first}", body="another text")
    index.edit(f"a{first + 1}", title="another title")
    index.remove(f"a{first + 2}")
    index.add({f"new{first}": {"title": "t", "body": "a text that is new"}})


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_change_ends_with_the_same_documents(
    cluster: Cluster, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    for module, name, value in (
        (index_rows, "FIRST_PAGE", 10),
        (index_rows, "MOST_A_PAGE", 10),
        (sink, "REQUEST_BYTES", 2_000),
        (sink, "AT_ONCE", 1),
        (carrying, "AT_ONCE", 2),
    ):
        monkeypatch.setattr(module, name, value)
    model_id = server.model()
    undisturbed, killed = (begun(cluster, name, tmp_path, model_id) for name in ("undisturbed", "killed"))
    undisturbed.through(lambda: edit(undisturbed.index, 0), lambda: edit(undisturbed.index, 4))

    def ended(step: Any) -> tuple[Any, list[str]]:
        with monkeypatch.context() as patched:
            reaper = Reaper(patched, moment)
            try:
                return reaper.until_it_ends(step), reaper.kills
            finally:  # a server has places for 300 of them
                cluster.ok("DELETE", "/_search/point_in_time/_all")

    _, making = ended(killed.make)
    _, copying = ended(killed.copy)
    landed = killed.land(killed.prepare())
    killed.write(landed)
    edit(killed.index, 0)
    _, carrying_over = ended(killed.carry)
    edit(killed.index, 4)
    swapped, swapping = ended(killed.swap)
    report = killed.report(landed)

    assert {f"create index {killed.new_index.name}", "describe index killed"} <= set(making)
    assert {"write documents", "read a page of documents"} <= set(copying)
    assert {"write documents", "get documents with versions", "read a page of documents"} <= set(carrying_over)
    assert {"move alias killed", f"add fields to index {killed.new_index.name}"} <= set(swapping)
    assert behind(cluster, "killed") == {killed.new_index.name}
    assert told(killed.new_index) == told(undisturbed.new_index)
    assert told(killed.index) == told(undisturbed.index)
    assert (swapped["kept"], report["swapped"]["index"]) == (killed.index.name, killed.new_index.name)

    for run in (undisturbed, killed):
        edit(Index(cluster, run.alias), 8)
    undisturbed.run.run_id = killed.run.run_id = "back"
    undisturbed.back()
    _, going_back = ended(killed.back)
    assert {"move alias killed", "write documents"} <= set(going_back)
    assert behind(cluster, "killed") == {killed.index.name}
    assert told(killed.index) == told(undisturbed.index)
    assert told(killed.new_index) == told(undisturbed.new_index)
