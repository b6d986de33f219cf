#!/usr/bin/env bash
# With deferrable=True Airflow's GenAIGeminiCreateBatchJobOperator leaves the creation of the batch to its trigger, and
# that creates a job each time it starts. A triggerer that restarts, or whose triggers another one takes over, starts it
# again: a second paid batch of the same rows, while the first goes on with nobody to read it. The name of the job is
# nowhere but in that process, so neither the task's end nor a clear can cancel it. The operator for embeddings does the
# same.
# Hurts: who defers, as is advised for jobs of a day, and deploys in that time: each restart of a triggerer is paid.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-google 22.8.0, google-genai 2.34.0, Python 3.11.
# Seen on 2026-11-28. Guess: the task creates the job, the trigger waits for its name, as in the operators of OpenAI,
# SageMaker and Bedrock. Airflow's documentation of triggers says that one may run twice.
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
    created: list = []
    watched: list = []
    done = False

    def log_message(self, *_):
        pass

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.command == "POST":
            Vendor.created.append(f"batches/{len(Vendor.created) + 1}")
            name = Vendor.created[-1]
        else:
            name = "batches/" + self.path.rsplit("/", 1)[-1]
            Vendor.watched.append(name)
        state = "BATCH_STATE_SUCCEEDED" if Vendor.done else "BATCH_STATE_RUNNING"
        job = {"name": name, "metadata": {"name": name, "state": state}}
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

COMMON = {
    "task_id": "night", "project_id": "p", "location": "l", "gemini_api_key": "fake", "polling_interval": 1,
    "deferrable": True,
}


async def until_watched(trigger):
    """A triggerer runs the trigger, and is stopped once the trigger has asked for the job."""
    seen = len(Vendor.watched)
    running = asyncio.ensure_future(anext(trigger.run()))
    while len(Vendor.watched) == seen and not running.done():
        await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait([running])


async def to_the_end(trigger):
    return await anext(trigger.run())


for name, kind, options in (
    ("answers", GenAIGeminiCreateBatchJobOperator, {"model": "gemini-2.5-flash", "input_source": "files/rows"}),
    ("vectors", GenAIGeminiCreateEmbeddingsBatchJobOperator, {"model": "embed", "input_source": "files/rows"}),
):
    Vendor.created, Vendor.watched, Vendor.done = [], [], False
    try:
        kind(**COMMON, **options).execute({"ti": SimpleNamespace(xcom_push=lambda *_, **__: None)})
    except TaskDeferred as wait:
        trigger = wait.trigger
    print(f"SEEN {name}: created by the task {Vendor.created}")
    for start in (1, 2):
        asyncio.run(until_watched(trigger))
        path, arguments = trigger.serialize()
        trigger = type(trigger)(**arguments)
        print(f"SEEN {name}: after start {start} of the trigger {Vendor.created}, it waits for {Vendor.watched[-1]}")
    Vendor.done = True
    event = asyncio.run(to_the_end(trigger)).payload
    ended = event.get("job_name") or event["job"]["name"]
    print(f"SEEN {name}: {event['status']} of {ended}, paid {len(Vendor.created)} times")
PYTHON
) || { cat "$folder/log"; exit 1; }
seen=$(sed -n 's/^SEEN //p' <<<"$seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
answers: created by the task []
answers: after start 1 of the trigger ['batches/1'], it waits for batches/1
answers: after start 2 of the trigger ['batches/1', 'batches/2'], it waits for batches/2
answers: success of batches/3, paid 3 times
vectors: created by the task []
vectors: after start 1 of the trigger ['batches/1'], it waits for batches/1
vectors: after start 2 of the trigger ['batches/1', 'batches/2'], it waits for batches/2
vectors: success of batches/3, paid 3 times
EXPECTED
