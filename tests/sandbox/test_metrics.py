"""A run's metrics as a collector of OpenTelemetry gets them: Airflow's own client, protobuf over HTTP, on loopback."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from airflow.sdk import DAG
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk._shared.observability.metrics.otel_logger import flush_otel_metrics
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.otel_logger import get_otel_logger
from opentelemetry import metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from opensearch_batch.tasks.output import ReportOperator
from tests.sandbox.bench import Run, Server, StateStore, rows_of

OURS = "airflow.opensearch_batch."
SHARED = {"dag_id": "by_hand", "provider": "openai", "model": "text-embedding-3-small"}


class Collector:
    """Keeps the last value of each time series: counters are sums since the process began."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.port, self.sums, self.timings = server.server_address[1], dict[str, int](), dict[str, int]()

    def take(self, body: bytes) -> None:
        request = ExportMetricsServiceRequest.FromString(body)
        for resource in request.resource_metrics:
            for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                for point in metric.sum.data_points:
                    self.sums[_series(metric.name, point.attributes)] = int(point.as_double or point.as_int)
                for timed in metric.exponential_histogram.data_points:
                    self.timings[metric.name] = timed.count

    def counted(self) -> dict[str, int]:
        """Ours, without the prefix."""
        metrics.get_meter_provider().force_flush()  # type: ignore[attr-defined]
        return {name.removeprefix(OURS): count for name, count in self.sums.items() if name.startswith(OURS)}


def _series(name: str, attributes: object) -> str:
    """With its tags, but those that all of ours should have."""
    tags = {tag.key: tag.value.string_value for tag in attributes}  # type: ignore[attr-defined]
    told = (f"{tag}={value}" for tag, value in sorted(tags.items()) if SHARED.get(tag) != value)
    return " ".join([name, *told])


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            gets.take(self.rfile.read(int(self.headers["Content-Length"])))
            answer = ExportMetricsServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gets = Collector(server)
        threading.Thread(target=partial(server.serve_forever, 0.05), daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"http://127.0.0.1:{gets.port}/v1/metrics")
        stats.initialize(factory=get_otel_logger, export_legacy_names=True)  # type: ignore[arg-type]
        yield gets
        atexit.unregister(flush_otel_metrics)
        metrics.get_meter_provider().shutdown()  # type: ignore[attr-defined]
        stats.initialize(factory=NoStatsLogger, export_legacy_names=True)
        server.shutdown()


def test_a_run_is_counted_once_whatever_is_cleared(
    server: Server, run: Run, model_id: str, collector: Collector
) -> None:
    server.pace("polls:2")  # so that the first look finds no end
    bundles = run.prepare(rows_of(20), output_uri=f"file://{run.out}")
    landed = run.fetch(run.wait(run.submit(model_id, bundles)), final=False, dag=DAG("by_hand", schedule=None))
    report = ReportOperator(task_id="report", planned_by="prepare", landed=[landed])
    run.execute(report)
    counted = collector.counted()
    assert counted["rows outcome=answered"] == 20
    assert counted["jobs"] == 1
    assert counted["tokens"] == run.manifest["report"]["actual_tokens"] > 0
    assert counted["cost_microusd"] == round(run.manifest["report"]["actual_usd"] * 1e6) > 0
    assert {name: n for name, n in collector.timings.items() if name.startswith(OURS)} == {
        f"{OURS}wait": 1,
        f"{OURS}landing": 1,
    }
    run.execute(report)
    assert collector.counted() == counted


def test_a_store_that_is_down_costs_no_run(
    server: Server, run: Run, model_id: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(store: StateStore, key: str) -> None:
        raise ConnectionError("no answer of the API server")

    outcomes = run.wait(run.submit(model_id, run.prepare(rows_of(2))))
    monkeypatch.setattr(StateStore, "get", down)
    assert run.fetch(outcomes)["report"]["answered"] == 2
    assert "the run's metrics are not complete: ConnectionError: no answer of the API server" in caplog.text
