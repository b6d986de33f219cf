#!/usr/bin/env bash
# With metrics.statsd_influxdb_enabled Airflow writes tags into a metric's name, and then refuses the whole metric for
# the colon in a tag: nothing is sent, and each call logs InvalidStatsNameException with its traceback.
# Hurts: who tags metrics with a model, as amazon.titan-embed-text-v2:0 of Bedrock or llama3:8b: the models with a
# version are absent from each sum, the others are there. A tag with another sign in the colon's place arrives.
# Versions: apache-airflow 3.3.2, statsd 4.0.1, Python 3.11.
# Seen on 2026-11-28. Guess: a tag may be any text, or a bad tag is left out and the metric sent without it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 statsd==4.0.1
export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False

cat >"$folder/tell.py" <<'PYTHON'
import os
import socket



def next_of_ours(server):
    """Airflow has metrics of its own, as the time of its first import."""
    try:
        while not (line := server.recv(1000).decode()).startswith("airflow.rows"):
            pass
    except TimeoutError:
        return "nothing"
    return line


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 0))
    server.settimeout(2)
    settings = {"ON": "True", "HOST": "127.0.0.1", "PORT": str(server.getsockname()[1]), "INFLUXDB_ENABLED": "True"}
    os.environ |= {f"AIRFLOW__METRICS__STATSD_{name}": value for name, value in settings.items()}
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics.statsd_logger import get_statsd_logger

    stats.initialize(factory=get_statsd_logger, export_legacy_names=True)
    for model in ("titan-embed-text-v2", "titan-embed-text-v2:0", "titan-embed-text-v2_0"):
        stats.incr("rows", 3, tags={"model": model})
        print(f"{model} -> {next_of_ours(server)}")
PYTHON
seen=$("$folder/venv/bin/python" -W ignore "$folder/tell.py" 2>&1 | tee "$folder/log" | grep -e ' -> ')
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
titan-embed-text-v2 -> airflow.rows,model=titan-embed-text-v2:3|c
titan-embed-text-v2:0 -> nothing
titan-embed-text-v2_0 -> airflow.rows,model=titan-embed-text-v2_0:3|c
EXPECTED
grep -q InvalidStatsNameException "$folder/log"
