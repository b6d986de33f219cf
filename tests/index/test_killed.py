"""A task killed at any of its calls to the cluster and any of its files, before or after: the next tries end as if
nothing was.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import pytest

from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.sinks import bulk as sink
from opensearch_batch.sources import index_rows
from opensearch_batch.storage import ObjectWriter
from tests.index.bench import Cluster, Fill, Index, articles
from tests.sandbox.bench import Run, Server

MOST_TRIES = 200


class Killed(BaseException):
    """No error that any code catches."""


class Reaper:
    """Kills a step at its first call or file, its next try at the second, and so on, until a try comes to its end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
        self._moment, self._left = moment, 0
        self.kills: list[str] = []
        reaper, send_, commit_ = self, MLCommonsHook.send, ObjectWriter.commit

        def send(hook: MLCommonsHook, call: Call) -> Any:
            return reaper.done(call.name, lambda: send_(hook, call))

        def commit(writer: ObjectWriter) -> None:
            reaper.done(f"write {PurePath(writer.uri).name}", lambda: commit_(writer))

        monkeypatch.setattr(MLCommonsHook, "send", send)
        monkeypatch.setattr(ObjectWriter, "commit", commit)

    def done(self, what: str, act: Callable[[], Any]) -> Any:
        if self._left:
            self._left -= 1
            return act()
        self.kills.append(what)
        if self._moment == "after":
            act()
        raise Killed(what)

    def until_it_ends(self, step: Callable[[], Any]) -> Any:
        for tries in range(MOST_TRIES):
            self._left = tries
            try:
                return step()
            except Killed:
                continue
        raise AssertionError(f"killed {MOST_TRIES} times and still not at its end: {self.kills[-3:]}")


def killed(step: Callable[[], Any], patch: pytest.MonkeyPatch, place: Any, name: str, moment: str = "after") -> None:
    """Kill a step right before or after its first call of what has this name in a module."""
    called = getattr(place, name)

    def called_last(*given: Any) -> None:
        if moment == "after":
            called(*given)
        raise Killed(name)

    with patch.context() as patched:
        patched.setattr(place, name, called_last)
        with pytest.raises(Killed):
            step()


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


def sources(index: Index) -> dict[str, Any]:
    """All but the name of the run."""
    found = {name: hit["_source"] for name, hit in index.hits.items()}
    for source in found.values():
        source["vector_provenance"].pop("run")
    return found


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_run_ends_with_the_same_documents(
    cluster: Cluster, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(index_rows, "FIRST_PAGE", 20)
    monkeypatch.setattr(index_rows, "MOST_A_PAGE", 20)
    monkeypatch.setattr(sink, "REQUEST_BYTES", 4_000)
    monkeypatch.setattr(sink, "AT_ONCE", 1)
    model_id = server.model()
    undisturbed, killed = cluster.index("undisturbed", shards=2), cluster.index("killed", shards=2)
    for index in (undisturbed, killed):
        index.add(articles(60))
    Fill(Run(folder(tmp_path, "one"), "night"), undisturbed, model_id).through()
    jobs = len(server.ledger)

    run = Fill(Run(folder(tmp_path, "two"), "killed night"), killed, model_id)
    with monkeypatch.context() as patched:
        reaper = Reaper(patched, moment)
        shards = reaper.until_it_ends(run.prepare)
    landed = run.land(shards)
    with monkeypatch.context() as patched:
        writing = Reaper(patched, moment)
        [written] = writing.until_it_ends(lambda: run.write(landed))
    with monkeypatch.context() as patched:
        reporting = Reaper(patched, moment)
        report = reporting.until_it_ends(lambda: run.report(landed))

    assert {"read a page of documents", "open a point in time of killed"} <= set(reaper.kills)
    assert writing.kills.count("write documents") >= 3
    assert (written["written"], written["superseded"], written["refused"]) == (60, 0, {})
    assert {"write fill.json", "write manifest.json"} <= set(reporting.kills)
    assert report["written"]["written"] == 60
    assert sources(killed) == sources(undisturbed)
    assert len(server.ledger) == 2 * jobs
    after = Fill(Run(tmp_path / "two", "next night"), killed, model_id)
    assert (after.prepare(), after.plan["unchanged"]) == ([], 60)
