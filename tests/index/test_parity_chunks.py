"""The gate where documents have many vectors: of each document of the sample one chunk is embedded again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.index.bench import DIMENSIONS, Fill, Index
from tests.index.chunks import essay, essays
from tests.index.test_chunks import Chunked, chunked, chunks_of, index, reuse
from tests.index.test_parity import predictions
from tests.sandbox.bench import Server

__all__ = ["chunked", "index", "reuse"]

Checked = Callable[..., Fill]


@pytest.fixture
def checked(chunked: Chunked, server: Server) -> Checked:
    """A run of a spec with parity and chunks, whose model can be asked online."""
    server.model(name="fill", dimensions=DIMENSIONS)

    def begun(run_id: str = "night-1", **settings: Any) -> Fill:
        return chunked(run_id, **{"parity": {"sample": 12, "queries": 4}, **settings})

    return begun


def filled(run: Fill) -> Fill:
    landed = run.land(run.prepare())
    run.write_chunks(landed)
    run.run.xcoms["fetch", "return_value"] = landed
    return run


def shut(run: Fill) -> str:
    with pytest.raises(AirflowFailException) as refused:
        run.compare()
    return str(refused.value)


def test_an_honest_fill_passes(index: Index, checked: Checked, server: Server) -> None:
    index.add(essays(20))
    run = filled(checked())
    found = run.compare()
    assert (found["compared"], found["below"], found["shut"], found["left_out"]) == (12, 0, "", {})
    assert found["least_cosine"] == pytest.approx(1, abs=1e-6)
    assert (found["queries"], found["recall"]) == (4, 1.0)
    assert len(predictions(server)) == 12, "one chunk of each document"
    assert run.report(run.run.xcoms["fetch", "return_value"])["parity"] == found


def test_vectors_changed_by_hand_shut_the_gate(index: Index, checked: Checked) -> None:
    index.add(essays(5))
    run = filled(checked())
    index.edit("e2", chunks=[{**chunk, "embedding": chunk["embedding"][::-1]} for chunk in chunks_of(index, "e2")])
    assert "1 of 5 vectors are further than 0.999 (cosine) from the model's online answer, the first e2#" in shut(run)


def test_what_was_edited_or_cut_otherwise_is_not_compared(index: Index, checked: Checked) -> None:
    index.add({**essays(6), "shell": {"body": "echo ${HOME} and so on"}})
    run = filled(checked())
    index.edit("e3", body=essay("another"))
    chunks = chunks_of(index, "e4")
    index.edit("e4", chunks=[{**chunk, "start": chunk["start"] + 1} for chunk in chunks])
    found = run.compare()
    assert (found["compared"], found["below"]) == (4, 0)
    assert set(found["left_out_ids"]["edited"]) == {"e3", "e4"}
    assert found["left_out_ids"]["with ${…} in the text"] == ["shell#0"]


def test_neighbours_that_are_missed_shut_it(index: Index, checked: Checked) -> None:
    if not index.cluster.is_sandbox:
        pytest.skip("a graph of nested vectors so poor takes thousands of documents")
    index.add(essays(30))
    run = filled(checked())
    index.cluster.ok("POST", "/_sandbox/faults", {"fault": "neighbours_missed", "count": 4, "times": 4})
    assert "of the 10 nearest documents with k 100, and" in shut(run)
