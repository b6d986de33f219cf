#!/usr/bin/env bash
# OpenTelemetry's exporter repeats a refused connection with growing pauses until its ten seconds are over, and both
# force_flush and shutdown wait for all of it: a process with one counter takes more than ten seconds to end where no
# collector listens. timeout_millis of force_flush does not shorten it.
# Hurts: who sends Airflow's metrics by OTLP. Each task is a process that flushes at its end, so while the collector is
# restarted every task takes seconds longer, short tasks several times as long, and a full pool runs late.
# Versions: opentelemetry-sdk 1.45.2, opentelemetry-exporter-otlp-proto-http 1.45.2, Python 3.11.
# Seen on 2026-11-28: 7 s in force_flush, 8 s in shutdown. Guess: a refused connection ends the export at once, or the
# given bound holds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2

cat >"$folder/end.py" <<'PYTHON'
import socket
import time

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

with socket.socket() as nobody:
    nobody.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
    url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1/metrics"
    provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=url))])
    provider.get_meter("night").create_counter("rows").add(3)
    for name, end in (("force_flush", lambda: provider.force_flush(1000)), ("shutdown", provider.shutdown)):
        began = time.monotonic()
        end()
        seconds = time.monotonic() - began
        print(f"{name}: {'more' if seconds > 3 else 'less'} than 3 seconds", flush=True)
PYTHON
seen=$("$folder/venv/bin/python" "$folder/end.py" 2>"$folder/log")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
force_flush: more than 3 seconds
shutdown: more than 3 seconds
EXPECTED
