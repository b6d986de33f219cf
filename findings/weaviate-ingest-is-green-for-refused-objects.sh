#!/usr/bin/env bash
# WeaviateIngestOperator of Airflow hands its rows to a batch of the Weaviate client and never asks what became of them.
# Weaviate answers for each object, and the client keeps the refusals in failed_objects of the collection that did the
# batch; the hook lets that one go. Whether the server refuses one object or all, the task is a success with the result
# None. The one trace is a line in its log, which says where to look, client.batch.failed_objects, and that is empty.
# WeaviateDocumentIngestOperator does the same and returns [], by its help the "List of UUID which failed to create".
# Hurts: who loads each night's vectors: after a change of the model or its dimensions every object is refused for its
# length, and the next task finds an index without the night; a row with a wrong type is missing for good.
# failed_objects after a batch of one's own (below) has them.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-weaviate 3.5.1, weaviate-client 4.24.1, pandas 3.1.1,
# Python 3.11. Seen on 2026-11-29.
# Guess: the task fails, or returns what was refused, as batch_create_links of the same hook does for references.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-weaviate==3.5.1 \
  weaviate-client==4.24.1 pandas==3.1.1

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import functools
import json
import os
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import weaviate
from airflow.providers.weaviate.hooks.weaviate import WeaviateHook
from airflow.providers.weaviate.operators.weaviate import WeaviateDocumentIngestOperator, WeaviateIngestOperator
from weaviate.proto.v1 import batch_pb2, search_get_pb2, weaviate_pb2_grpc


class Rest(BaseHTTPRequestHandler):
    """Says the server's version; all else is not found."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        content = json.dumps({"version": "1.33.0"} if self.path == "/v1/meta" else {}).encode()
        self.send_response(200 if self.path == "/v1/meta" else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Store(weaviate_pb2_grpc.WeaviateServicer):
    """Keeps objects with vectors of three numbers and refuses the others one by one, as Weaviate does."""

    objects: set = set()

    def Search(self, request, context):
        return search_get_pb2.SearchReply()

    def BatchObjects(self, request, context):
        reply = batch_pb2.BatchObjectsReply()
        for index, one in enumerate(request.objects):
            length = len(one.vector_bytes) // 4
            if length == 3:
                Store.objects.add(one.properties.non_ref_properties["text"])
            else:
                reply.errors.add(index=index, error=f"vector has length {length}, those in the index have 3")
        return reply


rest = ThreadingHTTPServer(("127.0.0.1", 0), Rest)
threading.Thread(target=rest.serve_forever, daemon=True).start()
server = grpc.server(futures.ThreadPoolExecutor(2))
weaviate_pb2_grpc.add_WeaviateServicer_to_server(Store(), server)
extra = {"grpc_host": "127.0.0.1", "grpc_port": server.add_insecure_port("127.0.0.1:0"), "token": "none"}
server.start()
os.environ["AIRFLOW_CONN_WEAVIATE"] = json.dumps(
    {"conn_type": "weaviate", "host": "127.0.0.1", "port": rest.server_address[1], "extra": extra}
)
# without the client's look at the package index for a newer version of itself
weaviate.connect_to_custom = functools.partial(weaviate.connect_to_custom, skip_init_checks=True)


def rows(lengths):
    Store.objects.clear()
    return [{"text": f"text {number}", "Vector": [0.5] * length} for number, length in enumerate(lengths)]


def load(name, operator, lengths, **options):
    task = operator(task_id="load", conn_id="weaviate", collection_name="Texts", input_data=rows(lengths), **options)
    try:
        result = f"returns {task.execute({})}"
    except Exception as error:
        result = f"raises {type(error).__name__}"
    asked = len(task.hook.conn.batch.failed_objects)
    print(f"seen: {name}, vectors of {lengths}: {len(Store.objects)} of 5 stored, {result}, failed_objects: {asked}")


some, all_of_them = [3, 3, 4, 3, 4], [4, 4, 4, 4, 4]
for lengths in ([3, 3, 3, 3, 3], some, all_of_them):
    load("ingest", WeaviateIngestOperator, lengths)
for lengths in (some, all_of_them):
    load("documents", WeaviateDocumentIngestOperator, lengths, document_column="text", uuid_column="uuid")

texts = WeaviateHook("weaviate").conn.collections.get("Texts")
for lengths in (some, all_of_them):
    with texts.batch.dynamic() as batch:
        for row in rows(lengths):
            batch.add_object(properties={"text": row["text"]}, vector=row["Vector"])
    failed = sorted(one.object_.properties["text"] for one in texts.batch.failed_objects)
    print(f"seen: by hand, vectors of {lengths}: {len(Store.objects)} of 5 stored, failed_objects: {failed}")
server.stop(None)
PYTHON
) || { cat "$folder/log"; exit 1; }
seen=$(sed -n 's/^seen: //p' <<<"$seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
ingest, vectors of [3, 3, 3, 3, 3]: 5 of 5 stored, returns None, failed_objects: 0
ingest, vectors of [3, 3, 4, 3, 4]: 3 of 5 stored, returns None, failed_objects: 0
ingest, vectors of [4, 4, 4, 4, 4]: 0 of 5 stored, returns None, failed_objects: 0
documents, vectors of [3, 3, 4, 3, 4]: 3 of 5 stored, returns [], failed_objects: 0
documents, vectors of [4, 4, 4, 4, 4]: 0 of 5 stored, returns [], failed_objects: 0
by hand, vectors of [3, 3, 4, 3, 4]: 3 of 5 stored, failed_objects: ['text 2', 'text 4']
by hand, vectors of [4, 4, 4, 4, 4]: 0 of 5 stored, failed_objects: ['text 0', 'text 1', 'text 2', 'text 3', 'text 4']
EXPECTED
