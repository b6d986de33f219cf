#!/usr/bin/env bash
# Airflow's GenAIGeminiCreateBatchJobOperator and GenAIGeminiCreateEmbeddingsBatchJobOperator, with wait_until_complete,
# log "Job execution was not completed!" for a job that failed, expired or was cancelled, and return it: the task is a
# success. With deferrable=True the same job fails the task.
# Hurts: who embeds a corpus by Gemini's batch: a night whose file was refused, or that expired, is green without a
# vector, and the next tasks read what an earlier night left.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-google 22.8.0, google-genai 2.34.0, Python 3.11.
# Seen on 2026-11-28. Guess: an exception, as the deferrable way has it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 google-genai==2.34.0 google-api-python-client==2.202.0 \
  google-cloud-secret-manager==2.32.0 google-auth-httplib2==0.4.4 gcloud-aio-auth==5.6.0
# The provider asks for some fifty more packages of Google, none of which these operators load.
"$folder/venv/bin/pip" install --quiet --no-deps apache-airflow-providers-google==22.8.0

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=CRITICAL
export NO_PROXY=127.0.0.1 AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT='{"conn_type": "google_cloud_platform"}'
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace


class Vendor(BaseHTTPRequestHandler):
    state = ""

    def log_message(self, *_):
        pass

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        job = {"name": "batches/1", "metadata": {"name": "batches/1", "state": Vendor.state}}
        if Vendor.state == "BATCH_STATE_FAILED":
            job["error"] = {"code": 3, "message": "the input file has no rows"}
        content = json.dumps(job).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["GOOGLE_GEMINI_BASE_URL"] = f"http://127.0.0.1:{server.server_address[1]}"

from airflow.providers.google.cloud.operators.gen_ai import (  # noqa: E402
    GenAIGeminiCreateBatchJobOperator,
    GenAIGeminiCreateEmbeddingsBatchJobOperator,
)
from airflow.sdk.exceptions import TaskDeferred  # noqa: E402

CONTEXT = {"ti": SimpleNamespace(xcom_push=lambda *_, **__: None)}
COMMON = {
    "task_id": "night", "project_id": "p", "location": "l", "gemini_api_key": "fake", "polling_interval": 1,
    "retrieve_result": True,
}
ANSWERS = {**COMMON, "model": "gemini-2.5-flash", "input_source": "files/rows"}
VECTORS = {**COMMON, "model": "gemini-embedding-001", "input_source": "files/rows"}


def waiting(kind, options):
    return kind(**options, wait_until_complete=True).execute(CONTEXT)


def deferred(kind, options):
    task = kind(**options, wait_until_complete=True, deferrable=True)
    try:
        task.execute(CONTEXT)
    except TaskDeferred as wait:
        event = asyncio.run(anext(wait.trigger.run()))
        return task.execute_complete(CONTEXT, event.payload)


for state in ("SUCCEEDED", "FAILED", "EXPIRED", "CANCELLED"):
    Vendor.state = f"BATCH_STATE_{state}"
    for name, kind, options in (
        ("answers", GenAIGeminiCreateBatchJobOperator, ANSWERS),
        ("vectors", GenAIGeminiCreateEmbeddingsBatchJobOperator, VECTORS),
    ):
        said = []
        for run in (waiting, deferred):
            try:
                run(kind, options)
                said.append("success")
            except Exception as error:
                said.append(f"fails ({type(error).__name__})")
        print(f"SEEN {name}, job {state}: waiting {said[0]}, deferrable {said[1]}")
PYTHON
) || { cat "$folder/log"; exit 1; }
seen=$(sed -n 's/^SEEN //p' <<<"$seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
answers, job SUCCEEDED: waiting success, deferrable success
vectors, job SUCCEEDED: waiting success, deferrable success
answers, job FAILED: waiting success, deferrable fails (AirflowException)
vectors, job FAILED: waiting success, deferrable fails (AirflowException)
answers, job EXPIRED: waiting success, deferrable fails (AirflowException)
vectors, job EXPIRED: waiting success, deferrable fails (AirflowException)
answers, job CANCELLED: waiting success, deferrable fails (AirflowException)
vectors, job CANCELLED: waiting success, deferrable fails (AirflowException)
EXPECTED
