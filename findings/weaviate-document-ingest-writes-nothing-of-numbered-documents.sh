#!/usr/bin/env bash
# WeaviateDocumentIngestOperator of Airflow compares the names of documents as texts and then picks rows by the names
# themselves: where document_column has numbers (the key of a table), no row is picked. Nothing is written, on the
# first night or any other, with existing="skip" or "replace", and the task is a success. Named by texts, all is.
# With "skip", the default, a document that is there gets nothing more: its help says "only add the missing objects of
# a document", but a chunk that is new in it is left out for good.
# Also: with "replace" an unchanged document of more than 2000 chunks is deleted and made (and paid) again each night.
# Hurts: who loads chunks of rows by the row's number: green nights and an empty collection; and who lets a load that
# broke off halfway through a document go on with "skip": the rest of that document never comes.
# Numbers as text, and existing="replace", write all.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-weaviate 3.5.1, weaviate-client 4.24.1, pandas 3.1.1,
# Python 3.11. Seen on 2026-11-29.
# Guess: numbers are written as texts are, or refused; "skip" adds the one chunk that is not there; "replace" leaves
# alone what has not changed, whatever its length.
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
import uuid
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import weaviate
from airflow.providers.weaviate.operators.weaviate import WeaviateDocumentIngestOperator
from weaviate.proto.v1 import batch_delete_pb2, batch_pb2, properties_pb2, search_get_pb2, weaviate_pb2_grpc


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


def fits(filters, properties):
    """Whether an object has one of the values that a filter names."""
    if filters.filters:
        return any(fits(one, properties) for one in filters.filters)
    return properties[filters.target.property] == getattr(filters, filters.WhichOneof("test_value"))


class Store(weaviate_pb2_grpc.WeaviateServicer):
    """Keeps objects by their id; finds, pages and deletes them by a value."""

    objects: dict = {}
    added: list = []

    def BatchObjects(self, request, context):
        for one in request.objects:
            Store.objects[one.uuid] = dict(one.properties.non_ref_properties.items())
            Store.added.append(Store.objects[one.uuid]["text"])
        return batch_pb2.BatchObjectsReply()

    def Search(self, request, context):
        reply = search_get_pb2.SearchReply()
        found = [(id, one) for id, one in sorted(Store.objects.items()) if fits(request.filters, one)]
        for id, one in found[request.offset:request.offset + request.limit]:
            result = reply.results.add()
            result.metadata.id_as_bytes = uuid.UUID(id).bytes
            value = one["document"]
            kind = {"text_value": value} if isinstance(value, str) else {"int_value": int(value)}
            result.properties.non_ref_props.fields["document"].CopyFrom(properties_pb2.Value(**kind))
        return reply

    def BatchDelete(self, request, context):
        gone = [id for id, one in Store.objects.items() if fits(request.filters, one)]
        for id in gone:
            del Store.objects[id]
        return batch_delete_pb2.BatchDeleteReply(matches=len(gone), successful=len(gone))


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


def night(existing, *chunks):
    """Loads chunks as "document: text"; what came, and what is there."""
    Store.added.clear()
    try:
        WeaviateDocumentIngestOperator(
            task_id="load", conn_id="weaviate", collection_name="Chunks", document_column="document",
            uuid_column="uuid", existing=existing, input_data=[{"document": d, "text": t} for d, t in chunks],
        ).execute({})
        result = "success"
    except Exception as error:
        result = type(error).__name__
    return f"{result}, added {sorted(Store.added)}, there {sorted(one['text'] for one in Store.objects.values())}"


for first, second in (("7", "8"), (7, 8)):
    for existing in ("skip", "replace"):
        Store.objects.clear()
        name = f"seen: documents {first!r} and {second!r}, {existing}"
        rows = [(first, "a1"), (first, "a2"), (second, "b1")]
        print(f"{name}, first night: {night(existing, *rows)}")
        print(f"{name}, one chunk more: {night(existing, *rows, (second, 'b2'))}")
for length in (2000, 2001):
    Store.objects.clear()
    added = []
    for _ in range(3):
        night("replace", *[("book", f"text {number}") for number in range(length)])
        added.append(len(Store.added))
    there = len(Store.objects)
    print(f"seen: a document of {length} chunks, replace, three nights alike: {added} added, {there} there")
server.stop(None)
PYTHON
) || { cat "$folder/log"; exit 1; }
seen=$(sed -n 's/^seen: //p' <<<"$seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
documents '7' and '8', skip, first night: success, added ['a1', 'a2', 'b1'], there ['a1', 'a2', 'b1']
documents '7' and '8', skip, one chunk more: success, added [], there ['a1', 'a2', 'b1']
documents '7' and '8', replace, first night: success, added ['a1', 'a2', 'b1'], there ['a1', 'a2', 'b1']
documents '7' and '8', replace, one chunk more: success, added ['b1', 'b2'], there ['a1', 'a2', 'b1', 'b2']
documents 7 and 8, skip, first night: success, added [], there []
documents 7 and 8, skip, one chunk more: success, added [], there []
documents 7 and 8, replace, first night: success, added [], there []
documents 7 and 8, replace, one chunk more: success, added [], there []
a document of 2000 chunks, replace, three nights alike: [2000, 0, 0] added, 2000 there
a document of 2001 chunks, replace, three nights alike: [2001, 2001, 2001] added, 2001 there
EXPECTED
