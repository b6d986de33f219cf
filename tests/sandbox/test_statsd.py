"""A run's metrics as a StatsD server gets them: Airflow's own client, lines over UDP, on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from airflow.observability import stats as core_stats
from airflow.observability.metrics import stats_utils as core_stats_utils
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
from msgspec.structs import replace

from opensearch_batch.flow.jobs import Outcome
from opensearch_batch.flow.written import Written
from opensearch_batch.land.metric_names import METRICS, PREFIX, Metric
from opensearch_batch.tasks import gauges, metrics
from tests.sandbox.bench import MODEL, Run, Server, StateStore, first_event, rebuilt, rows_of, sensor
from tests.sandbox.test_admission import all_end, stored, submitting
from tests.unit.test_counters import SUMMARY
from tests.unit.test_lineage import JOB

OURS = f"airflow.{PREFIX}."
KINDS = {"c": "counter", "ms": "timer", "g": "gauge"}


class Line(NamedTuple):
    """`airflow.opensearch_batch.rows,dag_id=nightly,outcome=answered:20|c`, taken apart."""

    name: str
    tags: dict[str, str]
    value: float
    kind: str


class StatsD:
    """Nothing waits for it: what was sent on loopback is there, or is lost."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening

    @property
    def lines(self) -> list[Line]:
        """Ours since the last time, without the prefix."""
        found: list[Line] = []
        self._listening.setblocking(False)
        while True:
            try:
                text = self._listening.recv(65_536).decode()
            except BlockingIOError:
                return [line for line in found if line.name.startswith(OURS)]
            found += [_line(each) for each in text.splitlines()]


def _line(text: str) -> Line:
    series, _, rest = text.partition(":")
    name, *tags = series.split(",")
    value, kind = rest.split("|")
    return Line(name, dict(tag.split("=") for tag in tags), float(value), kind)


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsD]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        settings = {"ON": "True", "HOST": "127.0.0.1", "PORT": listening.getsockname()[1], "INFLUXDB_ENABLED": "True"}
        for name, value in settings.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{name}", str(value))
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
        core_stats.initialize(factory=core_stats_utils.get_stats_factory(), export_legacy_names=True)
        yield StatsD(listening)
        stats.initialize(factory=NoStatsLogger, export_legacy_names=True)
        core_stats.initialize(factory=NoStatsLogger, export_legacy_names=True)  # type: ignore[arg-type]


def context(**more: Any) -> Any:
    return {"dag_run": SimpleNamespace(dag_id="nightly"), "task_state_store": StateStore(), **more}


def test_a_run_in_lines(server: Server, run: Run, model_id: str, statsd: StatsD) -> None:
    server.pace("polls:2")  # so that the first look finds no end
    run.through(model_id, rows_of(20))
    told = {line.name.removeprefix(OURS): line for line in statsd.lines}
    assert (told["rows"].tags, told["rows"].value) == ({"dag_id": "by_hand", "outcome": "answered"}, 20)
    assert told["jobs"].value == 1
    assert told["tokens"].value == run.manifest["report"]["actual_tokens"] > 0
    assert {name for name, line in told.items() if line.kind == "ms"} == {"wait", "landing"}


def told_by(statsd: StatsD, name: str) -> list[float]:
    """The thread of the gauges has told all by then."""
    gauges._THREAD.submit(lambda: None).result()
    return [line.value for line in statsd.lines if line.name == f"{OURS}{name}"]


def test_a_wait_tells_the_jobs_that_have_not_ended(server: Server, run: Run, model_id: str, statsd: StatsD) -> None:
    server.pace("polls:2")
    bundles = run.prepare(rows_of(6), max_requests=2)
    with pytest.raises(TaskDeferred) as deferred:
        run.execute(sensor(run.submit(model_id, bundles)))
    trigger: Any = rebuilt(deferred.value.trigger)
    trigger.task_instance = SimpleNamespace(dag_id="nightly", task_id="wait", run_id="r", map_index=-1)
    assert len(first_event(trigger)["outcomes"]) == 3
    told = told_by(statsd, "jobs_in_flight")
    assert (told[0], told[-1]) == (3, 0)


def test_a_task_that_had_to_wait_for_its_turn_tells_how_long(
    server: Server, run: Run, model_id: str, statsd: StatsD
) -> None:
    server.pace("clock:600")
    bundles = run.prepare(rows_of(4), max_requests=2)
    operator = submitting(model_id, bundles, max_jobs_in_flight=1)
    with pytest.raises(TaskDeferred) as deferred:
        run.execute(operator)
    assert told_by(statsd, "turn") == []
    all_end(server)
    trigger: Any = stored(deferred.value.trigger)
    trigger.task_instance = SimpleNamespace(dag_id="nightly", task_id="submit", run_id="r", map_index=-1)
    event = first_event(trigger)
    assert told_by(statsd, "waiting_for_turn") == [1, 0]
    assert len(operator.turn_came(run.context(operator), event)) == 2
    [milliseconds] = told_by(statsd, "turn")
    assert 0 < milliseconds < 60_000


def test_all_that_is_told_is_in_the_list_of_metrics_and_all_of_the_list_is_told(statsd: StatsD) -> None:
    written = Written(written=90, superseded=3, deleted=1, refused={"mapper_parsing_exception": 1})
    metrics.count_run(context(), SUMMARY, written)
    metrics.time_turn(context(), 1.0)
    metrics.time_wait(context(), 60.0)
    metrics.time_landing(context(), [Outcome(JOB, "completed", "completed", [], 1, 1, 0, 0, 0, seen_at=1.0)])
    for gauge in (gauges.JOBS_IN_FLIGHT, gauges.WAITING_FOR_TURN):
        with gauge.joined(SimpleNamespace(dag_id="nightly"), "openai") as told:
            told(3)
    gauges._THREAD.submit(lambda: None).result()
    found = {line.name.removeprefix(OURS): Metric(KINDS[line.kind], tuple(line.tags)) for line in statsd.lines}  # type: ignore[arg-type]
    assert found == METRICS


def test_a_models_version_is_no_value_of_a_line(statsd: StatsD) -> None:
    """Airflow refuses the colon, and the metric with it."""
    metrics.count_run(context(), replace(SUMMARY, model="amazon.titan-embed-text-v2:0", provider="bedrock"), None)
    assert {line.tags["model"] for line in statsd.lines} == {"amazon.titan-embed-text-v2_0"}


def test_no_server_costs_no_run(
    server: Server, run: Run, model_id: str, statsd: StatsD, caplog: pytest.LogCaptureFixture
) -> None:
    statsd._listening.close()
    assert run.through(model_id, rows_of(2))["report"]["answered"] == 2
    assert "metrics are not complete" not in caplog.text


def test_a_model_of_the_demo_is_told_as_it_is(statsd: StatsD) -> None:
    metrics.count_run(context(), replace(SUMMARY, model=MODEL), None)
    assert {line.tags["model"] for line in statsd.lines} == {MODEL}
