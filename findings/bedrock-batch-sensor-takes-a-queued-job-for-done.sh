#!/usr/bin/env bash
# Airflow's BedrockBatchInferenceSensor keeps the states it waits for on its class: each new sensor sets them for all. A
# DAG that waits for "completed", and has a sensor for "scheduled" below it, takes a job that is only queued for done.
# In the other order the sensor for "scheduled" goes on waiting. Alone, each is right.
# Hurts: who waits for a job's end, and has a sensor further down the file that waits for the queue ("scheduled", the
# default): the worker builds both when it reads the file, the wait is green before the first row is embedded, and the
# next task reads no output, or last night's. It may be another job's sensor. One sensor a file is right.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-amazon 9.39.0, Python 3.11. Seen on 2026-11-29.
# Guess: success_state is the sensor's own, as job_arn is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-amazon==9.39.0

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export NO_PROXY=127.0.0.1 AWS_ACCESS_KEY_ID=fake AWS_SECRET_ACCESS_KEY=fake AWS_DEFAULT_REGION=us-east-1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JOB = "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abcdefghijkl"


class Bedrock(BaseHTTPRequestHandler):
    """Answers GetModelInvocationJob for one job."""

    status = ""

    def log_message(self, *_):
        pass

    def do_GET(self):
        content = json.dumps({
            "jobArn": JOB, "jobName": "night", "modelId": "amazon.titan-embed-text-v2:0", "status": Bedrock.status,
            "roleArn": "arn:aws:iam::123456789012:role/batch", "submitTime": "2026-11-29T02:00:00Z",
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://corpus/in/"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://corpus/out/"}},
        }).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


server = ThreadingHTTPServer(("127.0.0.1", 0), Bedrock)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_address[1]}"

from airflow.providers.amazon.aws.sensors.bedrock import BedrockBatchInferenceSensor  # noqa: E402
from airflow.sdk import DAG  # noqa: E402


def waits(*states):
    """A DAG with a sensor a state, in this order; for each what it says to a job in each status."""
    with DAG("night"):
        sensors = [
            BedrockBatchInferenceSensor(task_id=state, job_arn=JOB, success_state=state, aws_conn_id=None)
            for state in states
        ]
    for sensor in sensors:
        said = []
        for Bedrock.status in ("Submitted", "Scheduled", "InProgress", "Completed"):
            said.append(f"{Bedrock.status} {'done' if sensor.poke({}) else 'waits'}")
        print(f"seen: {' then '.join(states)}: the sensor for {sensor.success_state}: {', '.join(said)}")


waits("completed")
waits("scheduled")
waits("completed", "scheduled")
waits("scheduled", "completed")
PYTHON
) || { cat "$folder/log"; exit 1; }
seen=$(sed -n 's/^seen: //p' <<<"$seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
completed: the sensor for completed: Submitted waits, Scheduled waits, InProgress waits, Completed done
scheduled: the sensor for scheduled: Submitted waits, Scheduled done, InProgress waits, Completed done
completed then scheduled: the sensor for completed: Submitted waits, Scheduled done, InProgress waits, Completed done
completed then scheduled: the sensor for scheduled: Submitted waits, Scheduled done, InProgress waits, Completed done
scheduled then completed: the sensor for scheduled: Submitted waits, Scheduled waits, InProgress waits, Completed done
scheduled then completed: the sensor for completed: Submitted waits, Scheduled waits, InProgress waits, Completed done
EXPECTED
