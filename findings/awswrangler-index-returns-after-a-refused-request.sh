#!/usr/bin/env bash
# awswrangler.opensearch.index_documents (index_df, index_csv and index_json end there): a _bulk request that is refused
# (403, 400, 413) or fails (503) ends the loading without an exception. What follows is not sent, and the answer is
# {"success": 1000, "errors": []} for 4000 documents. Of all statuses only 429 is raised.
# Hurts: who fills an index of vectors from S3 each night: a disk at flood stage or a busy node leaves part of the index,
# the task is green, and only a count of "success" against the input shows it.
# Also: an index whose documents fit into one bulk has its refresh_interval set to null, the default, afterwards.
# Versions: awswrangler 3.17.1, opensearch-py 3.2.0, Python 3.11. Seen on 2026-11-28.
# Guess: every status that is not 2xx is raised, as helpers.bulk of opensearch-py does.
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
from opensearchpy import OpenSearch, TransportError, helpers


class Cluster(BaseHTTPRequestHandler):
    """Takes the first _bulk and answers every later one with `later`; an index with its own refresh_interval."""

    protocol_version = "HTTP/1.1"
    later = 200
    bulks = 0
    taken = 0
    settings = []

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        server = {"version": {"number": "3.6.0", "distribution": "opensearch"}}
        index = {"articles": {"settings": {"index": {"refresh_interval": "30s"}}}}
        self.answer(200, server if self.path == "/" else index)

    def do_PUT(self):
        Cluster.settings.append(self.rfile.read(int(self.headers["content-length"])).decode())
        self.answer(200, {"acknowledged": True})

    def do_POST(self):
        lines = self.rfile.read(int(self.headers["content-length"])).splitlines()
        Cluster.bulks += 1
        if Cluster.bulks > 1 and Cluster.later != 200:
            self.answer(Cluster.later, {"error": {"type": "some_exception", "reason": "no"}, "status": Cluster.later})
            return
        Cluster.taken += len(lines) // 2
        self.answer(200, {"errors": False, "items": [{"index": {"_id": "1", "status": 201}} for _ in lines[::2]]})


server = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = OpenSearch([{"host": "127.0.0.1", "port": server.server_address[1]}])
documents = [{"_id": str(number), "text": "a"} for number in range(4000)]


def play(name, load):
    Cluster.bulks = Cluster.taken = 0
    try:
        said = load()
    except TransportError as error:
        said = f"raises {type(error).__name__} {error.status_code}"
    print(f"{name}: {said}; the cluster has {Cluster.taken} of 4000")


for Cluster.later in (200, 400, 403, 413, 503, 429):
    play(
        f"awswrangler, then {Cluster.later}",
        lambda: wr.opensearch.index_documents(client, documents=documents, index="articles", bulk_size=1000, chunk_size=1000),
    )
Cluster.later = 503
actions = [{"_index": "articles", **document} for document in documents]
play("opensearch-py, then 503", lambda: helpers.bulk(client, actions, chunk_size=1000))
Cluster.later, Cluster.settings = 200, []
wr.opensearch.index_documents(client, documents=documents[:10], index="articles")
print("settings that a small load leaves:", *Cluster.settings)
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
awswrangler, then 200: {'success': 4000, 'errors': []}; the cluster has 4000 of 4000
awswrangler, then 400: {'success': 1000, 'errors': []}; the cluster has 1000 of 4000
awswrangler, then 403: {'success': 1000, 'errors': []}; the cluster has 1000 of 4000
awswrangler, then 413: {'success': 1000, 'errors': []}; the cluster has 1000 of 4000
awswrangler, then 503: {'success': 1000, 'errors': []}; the cluster has 1000 of 4000
awswrangler, then 429: raises TransportError 429; the cluster has 1000 of 4000
opensearch-py, then 503: raises TransportError 503; the cluster has 1000 of 4000
settings that a small load leaves: {"index":{"refresh_interval":null}}
EXPECTED
