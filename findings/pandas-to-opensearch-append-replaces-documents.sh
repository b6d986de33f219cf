#!/usr/bin/env bash
# pandas_to_opensearch of opensearch-py-ml with os_if_exists="append" ("Insert new values to the existing index") takes
# a row's place in the frame for its _id: each frame that was read from a file is numbered from 0, so the second night
# replaces the documents of the first. pandas.concat of two shards loses a shard in the same way, in one call.
# Hurts: who indexes texts or vectors of each night, or several shards, from DataFrames: the index is as long as the
# longest frame, older documents are gone, and every call succeeds. use_pandas_index_for_os_ids=False appends.
# Versions: opensearch-py-ml 1.3.0, opensearch-py 3.2.0, Python 3.11. Seen on 2026-11-28.
# Guess: documents are added, with ids of OpenSearch; or an error for an id that is there, as "append" says.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opensearch-py-ml==1.3.0 opensearch-py==3.2.0

export NO_PROXY=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas
from opensearch_py_ml import pandas_to_opensearch
from opensearchpy import OpenSearch

KEYWORD = {"type": "keyword", "searchable": True, "aggregatable": True}
ABOUT = {
    "_mapping": {"night": {"mappings": {"properties": {"text": {"type": "keyword"}}}}},
    "_field_caps": {"indices": ["night"], "fields": {"text": {"keyword": KEYWORD}}},
}


class Node(BaseHTTPRequestHandler):
    """An index that keeps documents by _id, as OpenSearch does."""

    documents: dict = {}
    exists = False

    def log_message(self, *_):
        pass

    def reply(self, status, answer):
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_HEAD(self):
        self.reply(200 if Node.exists else 404, {})

    def do_GET(self):
        asked = self.path.split("?")[0].rsplit("/", 1)[-1]
        self.reply(200, ABOUT.get(asked, {"version": {"number": "3.3.0"}}))

    def do_PUT(self):
        self.rfile.read(int(self.headers["content-length"]))
        Node.exists = True
        self.reply(200, {"acknowledged": True})

    def do_POST(self):
        if "_bulk" not in self.path:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            return self.do_GET()
        lines = [json.loads(line) for line in self.rfile.read(int(self.headers["content-length"])).splitlines()]
        items = []
        for action, document in zip(lines[::2], lines[1::2]):
            key = action["index"].get("_id") or f"auto-{len(Node.documents)}"
            result = "updated" if key in Node.documents else "created"
            Node.documents[key] = document
            items.append({"index": {"_id": key, "status": 200 if result == "updated" else 201, "result": result}})
        self.reply(200, {"errors": False, "items": items})


server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = OpenSearch(f"http://127.0.0.1:{server.server_address[1]}")
monday = pandas.DataFrame({"text": ["m0", "m1", "m2"]})
tuesday = pandas.DataFrame({"text": ["t0", "t1"]})


def put(frame, **options):
    pandas_to_opensearch(frame, client, "night", os_if_exists="append", **options)
    return [document["text"] for document in Node.documents.values()]


print("3 texts of Monday:", put(monday))
print("2 of Tuesday appended:", put(tuesday))
Node.documents.clear()
print("both shards in one frame:", put(pandas.concat([monday, tuesday])))
Node.documents.clear()
put(monday, use_pandas_index_for_os_ids=False)
print("without the frame's numbers:", put(tuesday, use_pandas_index_for_os_ids=False))
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
3 texts of Monday: ['m0', 'm1', 'm2']
2 of Tuesday appended: ['t0', 't1', 'm2']
both shards in one frame: ['t0', 't1', 'm2']
without the frame's numbers: ['m0', 'm1', 'm2', 't0', 't1']
EXPECTED
