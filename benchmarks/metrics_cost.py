"""`python -m benchmarks.metrics_cost`: what the metrics of a run over a million rows cost, beside the landing of its
rows: to StatsD, to an OpenTelemetry collector, and where Airflow sends none.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks import results
from benchmarks.child import Work
from benchmarks.landing import ROWS
from benchmarks.measure import Task, Unequal, run
from benchmarks.server import serving

MILLION, ROWS_A_JOB = 1_000_000, 50_000
JOBS = MILLION // ROWS_A_JOB
"""Each waited for by a task of its own: fewer tasks have fewer metrics."""
POLL_SECONDS, WAITED_SECONDS = 60.0, 24 * 3600.0
"""The spec's own pauses, through the longest time that the vendor may take."""
REPEATS = 20
TITLE = "Metrics of a million rows"
SIDES = {
    "StatsD": "metrics_cost:to_statsd",
    "OpenTelemetry": "metrics_cost:to_opentelemetry",
    "no metrics system": "metrics_cost:to_nobody",
}


def to_statsd(task: Task) -> Work:
    settings = {"STATSD_ON": "True", "STATSD_HOST": "127.0.0.1", "STATSD_PORT": _ports(task)[0]}
    return _told({**settings, "STATSD_INFLUXDB_ENABLED": "True"}, task, lambda: None)


def to_opentelemetry(task: Task) -> Work:
    """Sent as often as processes end: one export for each task, and one for the triggerer's look of all jobs."""
    os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
    os.environ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = f"http://127.0.0.1:{_ports(task)[1]}/v1/metrics"

    def flush() -> None:
        from opentelemetry import metrics

        metrics.get_meter_provider().force_flush()  # type: ignore[attr-defined]

    return _told({"OTEL_ON": "True"}, task, flush)


def to_nobody(task: Task) -> Work:
    return _told({}, task, lambda: None)


def _ports(task: Task) -> tuple[str, str]:
    udp, http = task.path("ports").read_text().split()
    return udp, http


def _told(settings: dict[str, str], task: Task, flush: Callable[[], None]) -> Work:
    """The metrics of REPEATS runs, by the functions that tasks and triggerers call. Clients are made beforehand: each
    process of Airflow makes one for Airflow's own metrics.
    """
    os.environ.update({f"AIRFLOW__METRICS__{name}": value for name, value in settings.items()})
    from airflow.observability import stats as of_triggerer
    from airflow.observability.metrics import stats_utils as for_triggerer
    from airflow.sdk.observability import stats as of_task
    from airflow.sdk.observability.metrics import stats_utils as for_task

    of_task.initialize(factory=for_task.get_stats_factory(), export_legacy_names=True)
    of_triggerer.initialize(factory=for_triggerer.get_stats_factory(), export_legacy_names=True)
    _told_by_one_run(task, flush, looks=1)
    looks = _looks()

    def work() -> dict[str, Any]:
        for _ in range(task.of(REPEATS)):
            _told_by_one_run(task, flush, looks)
        return {"looks": looks, "runs": task.of(REPEATS)}

    return work


def _looks() -> int:
    """How often one bundle is looked at."""
    from opensearch_batch.wait.pacing import pause_seconds

    looks, at = 0, 0.0
    while at < WAITED_SECONDS:
        looks, at = looks + 1, at + pause_seconds(POLL_SECONDS, at, None)
    return looks


def _told_by_one_run(task: Task, flush: Callable[[], None], looks: int) -> None:
    from opensearch_batch.flow.jobs import Job, Outcome
    from opensearch_batch.flow.written import Written
    from opensearch_batch.land.summary import Summary
    from opensearch_batch.tasks import gauges, metrics

    context: Any = {"dag_run": SimpleNamespace(dag_id="nightly"), "task_state_store": _Store()}
    job = Job("key", 1, "batch_1", "file-1", "task-1", "model-1")
    outcome = Outcome(job, "completed", "completed", [], ROWS_A_JOB, ROWS_A_JOB, 0, 0, 0, seen_at=1.0)
    for _ in range(JOBS):
        with gauges.JOBS_IN_FLIGHT.joined(SimpleNamespace(dag_id="nightly"), "openai") as in_flight:
            for _ in range(looks):
                in_flight(1)
                gauges._THREAD.submit(lambda: None).result()  # or looks that follow at once would be told as one
        metrics.time_turn(context, 1.0)
        flush()
        metrics.time_wait(context, 3600.0)
        flush()
        metrics.time_landing(context, [outcome])
        flush()
    run_of = Summary(
        provider="openai",
        model="text-embedding-3-small",
        rows=MILLION,
        answered=MILLION - 10,
        failed=5,
        missing=5,
        repaired=5,
        reused=5,
        twins=0,
        jobs=JOBS,
        rounds=1,
        codes={"too_long": 3, "rejected": 1, "expired": 1},
        tokens=8 * MILLION,
        estimated_usd=0.2,
        actual_usd=0.1,
        manifest="",
    )
    metrics.count_run(context, run_of, Written(MILLION - 10, 1, 1, {"refused": 1}))
    flush()


class _Store(dict[str, Any]):
    """As Airflow's, without its call to the API server."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


@contextmanager
def listening(folder: Path) -> Iterator[list[str]]:
    """A StatsD port that nobody reads, and a collector that takes all; yield the paths that the collector was asked."""
    asked: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with udp, ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        (folder / "ports").write_text(f"{udp.getsockname()[1]} {collector.server_address[1]}")
        try:
            yield asked
            while b"airflow.opensearch_batch." not in _next(udp):
                pass
        finally:
            collector.shutdown()


def _next(udp: socket.socket) -> bytes:
    """Airflow tells of its own first; the port keeps the first of all."""
    try:
        return udp.recv(65_536)
    except BlockingIOError:
        raise Unequal("StatsD was told nothing of a run") from None


def measured(folder: Path, scale: float, rounds: int) -> tuple[float, int, dict[str, float]]:
    """CPU seconds of landing a million rows, looks at each job, and CPU seconds of a run's metrics by side; medians."""
    cpu: dict[str, list[float]] = {"landing": [], **{name: [] for name in SIDES}}
    with serving(folder) as url, listening(folder) as asked:
        task, looks = Task(str(folder), url, scale), 0
        run("landing:make", task)
        for number in range(1, rounds + 1):
            cpu["landing"].append(run("landing:ours", task)["cpu_seconds"] / task.of(ROWS) * MILLION)
            for name, call in SIDES.items():
                told = run(call, task)
                cpu[name].append(told["cpu_seconds"] / told["result"]["runs"])
                looks = told["result"]["looks"]
            print(f"round {number} of {rounds}", file=sys.stderr)
        if not asked:
            raise Unequal("the collector was told nothing")
    medians = {name: statistics.median(each) for name, each in cpu.items()}
    return medians.pop("landing"), looks, medians


def table(landing: float, sides: dict[str, float]) -> str:
    lines = ["| metrics to | CPU s a million rows | of the landing's |", "|---|--:|--:|"]
    lines += [f"| {name} | {cpu:.3f} | {cpu / landing:.2%} |" for name, cpu in sides.items()]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics_cost", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1: 31,000 rows landed, metrics of 20 runs")
    parser.add_argument("--rounds", type=int, default=5, help="medians are taken over so many (default: 5)")
    parser.add_argument("--results", type=Path, default=results.FILE, help="file for the table (default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.scale <= 0 or given.rounds < 1:
        parser.error("--scale is above 0, --rounds at least 1")
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        landing, looks, sides = measured(Path(folder), given.scale, given.rounds)
    text = (
        f"Written by `python -m benchmarks.metrics_cost --scale {given.scale:g} --rounds {given.rounds}`.\n"
        f"Machine: {results.machine()}. Medians of {given.rounds} rounds.\n\n{table(landing, sides)}\n\n"
        f"To land a million rows of 1,536 numbers takes {landing:.1f} CPU s, measured with "
        f"{round(ROWS * given.scale):,} rows; the other tasks\nof such a run come on top. Its metrics: {JOBS} jobs, "
        f"each looked at {looks} times in {WAITED_SECONDS / 3600:g} hours, waited for and\nlanded by tasks of their "
        f"own, and a report. To OpenTelemetry each task exports once; Airflow's own metrics are\nin no figure."
    )
    results.keep(given.results, TITLE, text)
    print(text)


if __name__ == "__main__":
    main()
