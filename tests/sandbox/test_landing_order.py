"""A kill between the files of a shard: the rows for a repair round appear last."""

from __future__ import annotations

from pathlib import Path

import pytest

from opensearch_batch.flow.jobs import Outcome
from opensearch_batch.storage import ObjectWriter
from tests.sandbox.bench import Run, Server, rows_of
from tests.unit.fakes import Killed


@pytest.mark.parametrize("killed_at", ["results-", "failures-", "repair-"])
def test_rows_are_handed_on_only_when_the_results_stand(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    """Where they are handed on the shard never submits again: a kill before would leave its answers behind."""
    server.fault("expire", fraction=0.6)
    server.fault("fail_rows", ids=["row-0"], code="too_long")
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(10))))
    commit = ObjectWriter.commit

    def killed(self: ObjectWriter) -> None:
        if self.uri.rsplit("/", 1)[-1].startswith(killed_at):
            raise Killed
        commit(self)

    monkeypatch.setattr(ObjectWriter, "commit", killed)
    with pytest.raises(Killed):
        run.fetch(outcomes, final=False, repair=True)
    assert list((run.folder / "work").rglob("repair-*")) == []


def test_what_a_killed_try_began_to_hand_on_is_removed_by_the_next(server: Server, model_id: str, run: Run) -> None:
    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(3))))
    (shard,) = [outcome.job.shard for outcome in map(Outcome.from_dict, outcomes)]
    assert shard is not None
    handed_on = Path(shard.handed_on_uri(outcomes[0]["job"]["key"]).removeprefix("file://"))
    begun = handed_on.with_name(f".{handed_on.name}.7.partial")
    begun.write_text("{")
    run.fetch(outcomes, final=False, repair=True)
    assert list((run.folder / "work").rglob("*repair-*")) == []
