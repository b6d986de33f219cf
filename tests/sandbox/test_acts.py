"""What a clear means after something changed: the table in docs/explanation/acts.md."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.orphans import __main__ as orphans
from tests.sandbox.bench import Run, Server, rows_of
from tests.sandbox.test_orphans import spec_of
from tests.unit.test_orphans import Airflow

OPEN = ("validating", "in_progress")


def test_a_clear_after_the_input_changed_sends_the_new_rows_and_leaves_the_old_job(
    server: Server, model_id: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pace("polls:1000")
    (old,) = run.submit(model_id, run.prepare(rows_of(3)))
    (new,) = run.submit(model_id, run.prepare(rows_of(4)))
    assert {job["id"] for job in server.ledger if job["status"] in OPEN} == {
        old["provider_job_id"],
        new["provider_job_id"],
    }
    spec = spec_of(run)
    airflow = Airflow({f"by_hand/{run.run_id}": "running"})
    assert orphans.look(spec, orphans._store_of(spec), airflow, cancel=True) == 0
    assert capsys.readouterr().out.count("owned ") == 2
    assert {job["status"] for job in server.ledger} <= {*OPEN}, "the run owns both, and nothing is cancelled"


@pytest.mark.parametrize(("place", "jobs"), [(0, 9), (20, 5), (40, 1)], ids=["first", "middle", "last"])
def test_a_row_put_in_makes_all_shards_from_its_place_on_new_orders(
    server: Server, model_id: str, run: Run, place: int, jobs: int
) -> None:
    """A shard is so many rows in their order: those behind the new row are cut anew."""
    rows = rows_of(40)
    run.submit(model_id, run.prepare(rows, max_requests=5))
    assert len(server.ledger) == 8
    more = [*rows[:place], {"id": "new", "text": "a text that is new"}, *rows[place:]]
    run.submit(model_id, run.prepare(more, max_requests=5))
    assert len(server.ledger) == 8 + jobs


@pytest.mark.parametrize(
    "changed",
    [{"model_parameters": {"dimensions": 16}}, {"model": "text-embedding-3-large"}, {"prompt": "Title: {text}"}],
    ids=["parameters", "model", "prompt"],
)
def test_a_clear_after_the_spec_changed_pays_for_the_new_requests_and_going_back_costs_nothing(
    server: Server, model_id: str, run: Run, changed: dict[str, Any]
) -> None:
    before = run.submit(model_id, run.prepare(rows_of(3)))
    after = run.submit(model_id, run.prepare(rows_of(3), **changed))
    again = run.submit(model_id, run.prepare(rows_of(3)))
    ids = [[job["provider_job_id"] for job in jobs] for jobs in (before, after, again)]
    assert ids[0] == ids[2] != ids[1]
    assert len(server.ledger) == 2


def test_a_model_registered_anew_costs_nothing_where_the_requests_name_the_model(
    server: Server, model_id: str, run: Run
) -> None:
    bundles = run.prepare(rows_of(3))
    (before,) = run.submit(model_id, bundles)
    (after,) = run.submit(server.model(name="anew"), bundles)
    assert after["provider_job_id"] == before["provider_job_id"]
    assert len(server.ledger) == 1
