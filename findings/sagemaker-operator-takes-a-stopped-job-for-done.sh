#!/usr/bin/env bash
# A transform job that was stopped (by a person, a budget's alarm, another task's clean-up) is a success to Airflow's
# SageMakerTransformOperator and SageMakerTransformSensor: only "Failed" counts as a failure there. The same operator
# with deferrable=True fails for the same job. For training jobs the provider has "Stopped" among its failures.
# Hurts: who stops a night's job to save its cost: the task is green, and the next one reads whatever part lies under
# the output, or last night's files.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-amazon 9.39.0, Python 3.11. Seen on 2026-11-28.
# Guess: "Stopped" fails in each of the three, as TransformJobComplete, the provider's own waiter, has it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 'apache-airflow-providers-amazon[aiobotocore]==9.39.0'

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export NO_PROXY=127.0.0.1 AWS_ACCESS_KEY_ID=fake AWS_SECRET_ACCESS_KEY=fake AWS_DEFAULT_REGION=us-east-1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

S3 = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://corpus/in"}}
JOB = {
    "TransformJobName": "night", "ModelName": "embed", "TransformInput": {"DataSource": S3},
    "TransformOutput": {"S3OutputPath": "s3://corpus/out"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
}


class Aws(BaseHTTPRequestHandler):
    """SageMaker with one transform job; HEAD is S3's, asked whether the bucket is there."""

    status = ""

    def log_message(self, *_):
        pass

    def reply(self, answer):
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_HEAD(self):
        self.reply({})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        action = self.headers["x-amz-target"].split(".")[1]
        self.reply({
            "CreateTransformJob": {"TransformJobArn": "arn:aws:sagemaker:us-east-1:123456789012:transform-job/night"},
            "DescribeTransformJob": {**JOB, "TransformJobStatus": Aws.status, "CreationTime": 1, "FailureReason": "x"},
            "DescribeModel": {"ModelName": "embed", "CreationTime": 1},
        }[action])


server = ThreadingHTTPServer(("127.0.0.1", 0), Aws)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_address[1]}"

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTransformOperator  # noqa: E402
from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerTransformSensor  # noqa: E402
from airflow.sdk.exceptions import TaskDeferred  # noqa: E402

CONTEXT = {"ti": SimpleNamespace(xcom_push=lambda *_, **__: None)}


def operator(**options):
    return SageMakerTransformOperator(
        task_id="embed", config=json.loads(json.dumps(JOB)), aws_conn_id=None, check_if_job_exists=False,
        check_interval=1, **options,
    )


def deferred():
    task = operator(deferrable=True)
    try:
        return task.execute(CONTEXT)
    except TaskDeferred as wait:
        event = asyncio.run(anext(wait.trigger.run()))
        return task.execute_complete(CONTEXT, event.payload)


def told(run):
    try:
        run()
        return "success"
    except Exception as error:
        return f"fails ({type(error).__name__})"


sensor = SageMakerTransformSensor(task_id="wait", job_name="night", aws_conn_id=None)
for status in ("Completed", "Failed", "Stopped"):
    Aws.status = status
    ways = {
        "operator": lambda: operator().execute(CONTEXT), "deferrable": deferred, "sensor": lambda: sensor.poke(CONTEXT),
    }
    print(f"{status}:", ", ".join(f"{name} {told(run)}" for name, run in ways.items()))
PYTHON
) || { cat "$folder/log"; exit 1; }
seen=$(grep -E '^(Completed|Failed|Stopped):' <<<"$seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
Completed: operator success, deferrable success, sensor success
Failed: operator fails (AirflowException), deferrable fails (AirflowException), sensor fails (AirflowException)
Stopped: operator success, deferrable fails (RuntimeError), sensor success
EXPECTED
