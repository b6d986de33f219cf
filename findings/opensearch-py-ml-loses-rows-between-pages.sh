#!/usr/bin/env bash
# DataFrame.to_pandas of opensearch-py-ml (opensearch_to_pandas, iterrows, itertuples, to_csv) reads an index in pages
# of 5,000, sorted by "_doc" alone. That is a number a shard: documents of several shards have the same one, and
# search_after goes on behind it, past those that the page had no room for. len() of the same DataFrame counts them.
# Hurts: who reads a corpus to embed it, or checks what has a vector: at the end of each page up to two documents of an
# index of three shards are not there, five of six shards, without an error. One shard, and helpers.scan, have all.
# Versions: opensearch-py-ml 1.3.0, opensearch-py 3.2.0, pandas 2.2.3, Python 3.11. Seen on 2026-11-29, on a node of
# OpenSearch 3.6.0 too: 19,997 of 20,000 in three shards.
# Guess: all documents, each once, "this loads the entire OpenSearch index", as len() says.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opensearch-py-ml==1.3.0 opensearch-py==3.2.0 pandas==2.2.3

export NO_PROXY=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import opensearch_py_ml as oml
from opensearchpy import OpenSearch, helpers


class Node(BaseHTTPRequestHandler):
    """A node with 20,000 documents: a document lies on shard id % shards, its _doc counts from 0 on each shard."""

    protocol_version = "HTTP/1.1"
    shards = 1
    place = 0

    def log_message(self, *_):
        pass

    def found(self, body):
        order = sorted((number // Node.shards, number % Node.shards, number) for number in range(20_000))
        if "search_after" in body:
            order = [place for place in order if place[0] > body["search_after"][0]]
        return [
            {"_index": "corpus", "_id": str(number), "_score": None, "_source": {"n": number}, "sort": [doc]}
            for doc, _, number in order
        ]

    def answer(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        if self.path.startswith("/corpus/_mapping"):
            answer = {"corpus": {"mappings": {"properties": {"n": {"type": "integer"}}}}}
        elif self.path.startswith("/corpus/_field_caps"):
            integer = {"type": "integer", "searchable": True, "aggregatable": True}
            answer = {"indices": ["corpus"], "fields": {"n": {"integer": integer}}}
        elif self.path.startswith("/corpus/_count"):
            answer = {"count": 20_000, "_shards": {"total": 1, "successful": 1, "failed": 0}}
        elif "scroll" in self.path:
            Node.place = 0 if "_search?" in self.path else Node.place + 1000
            answer = {"_scroll_id": "s", "hits": {"hits": self.found({})[Node.place : Node.place + 1000]}}
            answer["_shards"] = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        else:
            answer = {"hits": {"hits": self.found(body)[: body["size"]]}}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer


server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = OpenSearch(f"http://127.0.0.1:{server.server_address[1]}")
for Node.shards in (1, 3, 6):
    frame = oml.DataFrame(client, "corpus")
    rows = frame.to_pandas()
    missing = sorted(set(range(20_000)) - set(rows["n"]))
    scanned = sum(1 for _ in helpers.scan(client, index="corpus"))
    print(f"{Node.shards} shards: len {len(frame)}, to_pandas {len(rows)}, scan {scanned}, missing {missing[:6]}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
1 shards: len 20000, to_pandas 20000, scan 20000, missing []
3 shards: len 20000, to_pandas 19997, scan 20000, missing [5000, 10001, 15002]
6 shards: len 20000, to_pandas 19988, scan 20000, missing [5000, 5001, 5002, 5003, 10004, 10005]
EXPECTED
