#!/usr/bin/env bash
# filter_documents of Haystack's OpenSearchDocumentStore asks one page of 10,000 and returns it as "the documents that
# match": of 25,000 the rest is not there, without an error or a warning, and count_documents says 25,000.
# The documents come without their embeddings by default, so reading some, changing their metadata and writing them back
# with DuplicatePolicy.OVERWRITE erases the vectors.
# Hurts: who moves a store, embeds all documents again with a new model, or looks for those to erase: 15,000 keep the
# old vectors; who tidies metadata: documents that no k-NN query finds any more.
# Versions: opensearch-haystack 9.0.0, haystack-ai 3.4.1, opensearch-py 3.2.0, Python 3.11. Seen on 2026-11-28.
# Guess: all documents, as Haystack's InMemoryDocumentStore returns them, or an error; a write leaves alone what the
# store itself left out of the read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opensearch-haystack==9.0.0 haystack-ai==3.4.1 opensearch-py==3.2.0

export NO_PROXY=127.0.0.1 HAYSTACK_TELEMETRY_ENABLED=False
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from haystack import Document
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore

DOCUMENTS = 25_000


class Node(BaseHTTPRequestHandler):
    """Keeps documents by _id; a search honours size and _source.excludes."""

    documents: dict = {}

    def log_message(self, *_):
        pass

    def bulk(self, lines):
        for action, document in zip(lines[::2], lines[1::2]):
            ((operation, meta),) = action.items()
            Node.documents[meta["_id"]] = document
        item = {operation: {"status": 201, "result": "created"}}
        return {"errors": False, "items": [item] * (len(lines) // 2)}

    def search(self, query):
        excludes = query.get("_source", {}).get("excludes", [])
        page = list(Node.documents.items())[: query.get("size", 10)]
        hits = [
            {"_id": key, "_score": 1.0, "_source": {k: v for k, v in document.items() if k not in excludes}}
            for key, document in page
        ]
        return {"timed_out": False, "hits": {"total": {"value": len(Node.documents), "relation": "eq"}, "hits": hits}}

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        lines = [json.loads(line) for line in body.splitlines()]
        if "_bulk" in self.path:
            answer = self.bulk(lines)
        elif "_search" in self.path:
            answer = self.search(lines[0])
        elif "_count" in self.path:
            answer = {"count": len(Node.documents)}
        else:
            answer = {"docs": {"mappings": {}}}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = answer


server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
threading.Thread(target=server.serve_forever, daemon=True).start()
opensearch = OpenSearchDocumentStore(hosts=f"http://127.0.0.1:{server.server_address[1]}", index="docs")
documents = [Document(content=f"text {n}", embedding=[0.1, 0.2], meta={"n": n}) for n in range(DOCUMENTS)]
for name, store in (("in memory", InMemoryDocumentStore()), ("OpenSearch", opensearch)):
    store.write_documents(documents)
    print(f"{name}: count_documents {store.count_documents()}, filter_documents {len(store.filter_documents())}")


def vectors():
    return sum(bool(document.get("embedding")) for document in Node.documents.values())


print("vectors in OpenSearch:", vectors())
read = [replace(document, meta={"tidy": True}) for document in opensearch.filter_documents()]
opensearch.write_documents(read, policy=DuplicatePolicy.OVERWRITE)
print("after metadata were written back:", vectors())
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
in memory: count_documents 25000, filter_documents 25000
OpenSearch: count_documents 25000, filter_documents 10000
vectors in OpenSearch: 25000
after metadata were written back: 15000
EXPECTED
