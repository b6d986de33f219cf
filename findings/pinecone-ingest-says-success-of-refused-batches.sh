#!/usr/bin/env bash
# PineconeIngestOperator of Airflow with batch_size is a success whatever Pinecone answers. Since version 9 the upsert
# of pinecone with a batch_size raises nothing: batches that are refused, or fail for good, are errors of the response
# that it returns. The operator lets the response go and logs "Successfully ingested data into Pinecone index", of a
# night of which nothing was stored as well. Without batch_size, and with pinecone 8, the same rows fail the task. The
# provider takes any pinecone from 7 on.
# Hurts: who loads each night's vectors in batches, as a request's limits demand: after an upgrade of pinecone, a change
# of the model's dimensions, a quota or an outage leave out rows or all, and the next task searches in the old index.
# Index.upsert of the SDK itself, and a look at has_errors and failed_items, tell.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-pinecone 2.5.1, pinecone 10.2.0 (8.1.2 raises), Python 3.11.
# Seen on 2026-11-29. Guess: the exception of the first batch that fails, as in pinecone 8, or as without batch_size.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-pinecone==2.5.1 pinecone==10.2.0
"$folder/venv/bin/pip" install --quiet --target "$folder/older" pinecone==8.1.2

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=INFO
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
cat >"$folder/load.py" <<'PYTHON'
import importlib.metadata
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from airflow.providers.pinecone.hooks.pinecone import PineconeHook
from airflow.providers.pinecone.operators.pinecone import PineconeIngestOperator


class Pinecone(BaseHTTPRequestHandler):
    """An index for vectors of three numbers: a request with another one among them is refused as a whole."""

    stored: set = set()

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer(200, {
            "name": "texts", "host": f"http://127.0.0.1:{self.server.server_address[1]}",
            "status": {"ready": True, "state": "Ready"}, "deletion_protection": "disabled",
            "dimension": 3, "metric": "cosine", "vector_type": "dense",
            "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
            "schema": {"fields": {"values": {"type": "dense_vector", "dimension": 3, "metric": "cosine"}}},
            "deployment": {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
        })

    def do_POST(self):
        rows = json.loads(self.rfile.read(int(self.headers["content-length"])))["vectors"]
        for row in rows:
            if len(row["values"]) != 3:
                message = f"Vector dimension {len(row['values'])} does not match the dimension of the index 3"
                self.answer(400, {"code": 3, "message": message, "details": []})
                return
        Pinecone.stored.update(row["id"] for row in rows)
        self.answer(200, {"upsertedCount": len(rows)})


server = ThreadingHTTPServer(("127.0.0.1", 0), Pinecone)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["AIRFLOW_CONN_PINECONE"] = json.dumps(
    {"conn_type": "pinecone", "host": f"http://127.0.0.1:{server.server_address[1]}", "password": "none"}
)
version = importlib.metadata.version("pinecone")


def rows(lengths):
    Pinecone.stored.clear()
    return [(f"id {number}", [0.5] * length) for number, length in enumerate(lengths)]


for lengths in ([3] * 6, [3, 3, 4, 3, 3, 3], [4] * 6):
    for size in (None, 2):
        task = PineconeIngestOperator(
            task_id="load", conn_id="pinecone", index_name="texts", input_vectors=rows(lengths), batch_size=size,
        )
        try:
            task.execute({})
            result = "success"
        except Exception as error:
            result = type(error).__name__
        name = f"pinecone {version}, vectors of {lengths}, batch_size={size}"
        print(f"seen: {name}: {len(Pinecone.stored)} of 6, {result}")

if not version.startswith("8."):
    index = PineconeHook("pinecone").pinecone_client.Index("texts")
    response = index.upsert(vectors=rows([3, 3, 4, 3, 3, 3]), batch_size=2)
    failed = [row["id"] for row in response.failed_items]
    print(f"seen: the response itself: has_errors={response.has_errors}, failed_items: {failed}")
PYTHON
for older in "" "$folder/older"; do
  PYTHONPATH="$older" "$folder/venv/bin/python" -W ignore "$folder/load.py" >"$folder/out" 2>"$folder/log" ||
    { cat "$folder/log"; exit 1; }
  sed -n 's/^seen: //p' "$folder/out" >>"$folder/seen"
  echo "$(grep -c 'Successfully ingested data' "$folder/out") logs of six: Successfully ingested data" >>"$folder/seen"
done
seen=$(cat "$folder/seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
pinecone 10.2.0, vectors of [3, 3, 3, 3, 3, 3], batch_size=None: 6 of 6, success
pinecone 10.2.0, vectors of [3, 3, 3, 3, 3, 3], batch_size=2: 6 of 6, success
pinecone 10.2.0, vectors of [3, 3, 4, 3, 3, 3], batch_size=None: 0 of 6, ApiError
pinecone 10.2.0, vectors of [3, 3, 4, 3, 3, 3], batch_size=2: 4 of 6, success
pinecone 10.2.0, vectors of [4, 4, 4, 4, 4, 4], batch_size=None: 0 of 6, ApiError
pinecone 10.2.0, vectors of [4, 4, 4, 4, 4, 4], batch_size=2: 0 of 6, success
the response itself: has_errors=True, failed_items: ['id 2', 'id 3']
4 logs of six: Successfully ingested data
pinecone 8.1.2, vectors of [3, 3, 3, 3, 3, 3], batch_size=None: 6 of 6, success
pinecone 8.1.2, vectors of [3, 3, 3, 3, 3, 3], batch_size=2: 6 of 6, success
pinecone 8.1.2, vectors of [3, 3, 4, 3, 3, 3], batch_size=None: 0 of 6, PineconeApiException
pinecone 8.1.2, vectors of [3, 3, 4, 3, 3, 3], batch_size=2: 2 of 6, PineconeApiException
pinecone 8.1.2, vectors of [4, 4, 4, 4, 4, 4], batch_size=None: 0 of 6, PineconeApiException
pinecone 8.1.2, vectors of [4, 4, 4, 4, 4, 4], batch_size=2: 0 of 6, PineconeApiException
2 logs of six: Successfully ingested data
EXPECTED
