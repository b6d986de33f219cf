#!/usr/bin/env bash
# awswrangler.opensearch.index_df evaluates texts: a cell that begins with [ or { and ends with ] or } is read as JSON,
# then as a Python literal. "[1, 2]" is indexed as numbers, '{"a": 1}' as an object, and "[deleted]" (as in every dump
# of a forum) is a ValueError that names neither row nor column. All texts lose the white space around them.
# Hurts: who indexes texts to be embedded from a DataFrame: documents that a text field refuses, others whose text has
# changed, so that a hash of the text never fits again, and a night that fails for one comment.
# Also: of a frame of numbers alone the ids become floats, so `id_keys` makes a second document beside each.
# Versions: awswrangler 3.17.1, opensearch-py 3.2.0, Python 3.11. Seen on 2026-11-28.
# Guess: a text is indexed as it is, as index_documents does it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'awswrangler[opensearch]==3.17.1' opensearch-py==3.2.0 boto3==1.43.117

export NO_PROXY=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import awswrangler as wr
import pandas as pd
from opensearchpy import OpenSearch


class Cluster(BaseHTTPRequestHandler):
    """Keeps what it is given."""

    protocol_version = "HTTP/1.1"
    lines = []

    def log_message(self, *_):
        pass

    def answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer({"version": {"number": "3.6.0", "distribution": "opensearch"}})

    def do_PUT(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer({"acknowledged": True})

    def do_POST(self):
        lines = self.rfile.read(int(self.headers["content-length"])).splitlines()
        Cluster.lines = [json.loads(line) for line in lines]
        self.answer({"errors": False, "items": [{"index": {"_id": "1", "status": 201}} for _ in lines[::2]]})


server = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = OpenSearch([{"host": "127.0.0.1", "port": server.server_address[1]}])
for text in ("plain", "  two spaces before", "[1, 2]", '{"a": 1}', "['x']", "[]", "[deleted]", "[see below]", "{name}"):
    try:
        wr.opensearch.index_df(client, df=pd.DataFrame({"_id": ["1"], "text": [text]}), index="comments")
        print(f"{text!r} -> {Cluster.lines[1]['text']!r}")
    except ValueError as error:
        print(f"{text!r} -> ValueError, {str(error).split(':')[0]}")
frame = pd.DataFrame({"id": [1, 2], "score": [0.5, 1.0]})
wr.opensearch.index_df(client, df=frame, index="comments", id_keys=["id"])
print("ids 1, 2 ->", [line["index"]["_id"] for line in Cluster.lines[::2]])
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
'plain' -> 'plain'
'  two spaces before' -> 'two spaces before'
'[1, 2]' -> [1, 2]
'{"a": 1}' -> {'a': 1}
"['x']" -> ['x']
'[]' -> []
'[deleted]' -> ValueError, malformed node or string on line 1
'[see below]' -> '[see below]'
'{name}' -> ValueError, malformed node or string on line 1
ids 1, 2 -> ['1.0', '2.0']
EXPECTED
