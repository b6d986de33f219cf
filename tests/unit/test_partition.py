"""What {partition} and {run_id} stand for, and which keys a run's conf may have. The last complete interval of a
schedule is in tests/dags.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from opensearch_batch.errors import SpecError
from opensearch_batch.tasks.partition import placeholders, refuse_unknown_conf


def context(conf: dict[str, Any] | None = None, key: str | None = None, start: datetime | None = None) -> Any:
    run = SimpleNamespace(
        conf=conf,
        partition_key=key,
        run_id="manual__2026-02-01T00:00:00+00:00",
        run_after=datetime(2026, 2, 1, tzinfo=UTC),
    )
    made: dict[str, Any] = {"dag_run": run, "dag": SimpleNamespace(timetable=None)}
    return made | ({"data_interval_start": start} if start else {})


JANUARY = datetime(2026, 1, 31, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "partition"),
    [
        (context({"partition": "2026-01-05"}, "key-1", JANUARY), "2026-01-05"),
        (context({}, "key-1", JANUARY), "key-1"),
        (context(None, None, JANUARY), "2026-01-31"),
        (context({"other": 1}, None, JANUARY), "2026-01-31"),
        (context(), None),
    ],
    ids=["conf", "partition key", "interval", "interval beside other conf", "none"],
)
def test_the_first_that_names_a_partition_counts(given: Any, partition: str | None) -> None:
    assert placeholders(given, "%Y-%m-%d")["partition"] == partition


def test_the_interval_is_written_as_the_spec_says() -> None:
    assert placeholders(context(start=JANUARY), "year=%Y-hour=%H")["partition"] == "year=2026-hour=02"


def test_the_run_id_becomes_a_path_segment() -> None:
    assert placeholders(context(), "%Y")["run_id"] == "manual__2026-02-01T00-00-00-00-00"


@pytest.mark.parametrize("name", ["../other", "a/b", ".hidden", " ", "a b", "2026-01-31\n", "~", "*"])
def test_a_partition_that_would_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="letters, digits"):
        placeholders(context({"partition": name}), "%Y")


def test_an_empty_name_names_nothing() -> None:
    assert placeholders(context({"partition": ""}, None, JANUARY), "%Y")["partition"] == "2026"


def test_a_partition_that_is_no_text_is_refused() -> None:
    with pytest.raises(SpecError, match="partition"):
        placeholders(context({"partition": 20260131}), "%Y")


def test_an_interval_format_with_slashes_is_refused() -> None:
    with pytest.raises(SpecError, match="letters, digits"):
        placeholders(context(start=JANUARY), "%Y/%m")


def asked(conf: dict[str, Any] | None) -> Any:
    """Of a DAG with params of its own, and one of the task."""
    dag, task = SimpleNamespace(params={"rows": None, "dry_run": False}), SimpleNamespace(params={"colour": "red"})
    return {"dag": dag, "task": task, "dag_run": SimpleNamespace(conf=conf)}


@pytest.mark.parametrize(
    "conf",
    [
        None,
        {},
        {"rows": 5, "dry_run": True},
        {"partition": "2026-01-31"},
        {"colour": "blue"},
        {"openlineage": {"parentRunId": "0"}},
    ],
    ids=["none", "empty", "params of the DAG", "partition", "param of the task", "Airflow's own"],
)
def test_a_conf_of_known_keys_is_taken(conf: dict[str, Any] | None) -> None:
    refuse_unknown_conf(asked(conf))


def test_a_mistyped_key_of_the_conf_is_refused_with_the_nearest_right_one() -> None:
    with pytest.raises(
        SpecError, match="unknown key 'row', did you mean 'rows'\\? .*known: colour, dry_run, force_resubmit, partition"
    ):
        refuse_unknown_conf(asked({"row": 5}))
    with pytest.raises(SpecError, match="unknown key 'date' .*a param of the DAG"):
        refuse_unknown_conf(asked({"rows": 5, "date": "2026-01-31"}))
