#!/usr/bin/env bash
# OpenSearchVectorSearch.add_texts of langchain takes an Iterable, reads it once to embed and a second time to index: of
# a generator every text is embedded (and paid), not one is indexed, and the answer is an empty list of ids. A list of
# more than bulk_size texts (500) is embedded whole before it is refused for its length, and a retry pays again.
# Hurts: who streams texts from a file, an S3 object or a cursor into add_texts: the task is green, the vendor's bill is
# full, and the index is empty. A list in parts of 500 is stored.
# Versions: langchain-community 0.4.2, langchain-core 1.8.3, opensearch-py 3.2.0, Python 3.11. Seen on 2026-11-28.
# Guess: "texts: Iterable of strings" are stored, of whatever kind; a length that is refused is refused before paying.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-community==0.4.2 langchain-core==1.8.3 'opensearch-py[async]==3.2.0'

export NO_PROXY=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from langchain_community.vectorstores import OpenSearchVectorSearch
from langchain_core.embeddings import Embeddings


class Vendor(Embeddings):
    paid = 0

    def embed_documents(self, texts):
        Vendor.paid += len(texts)
        return [[0.5, 0.5] for _ in texts]

    def embed_query(self, text):
        return [0.5, 0.5]


class Node(BaseHTTPRequestHandler):
    indexed = 0

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        answer = {"docs": {}}
        if "_bulk" in self.path:
            lines = body.splitlines()
            Node.indexed += len(lines) // 2
            answer = {"errors": False, "items": [{"index": {"_id": "x", "status": 201}}] * (len(lines) // 2)}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = answer


server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
threading.Thread(target=server.serve_forever, daemon=True).start()
store = OpenSearchVectorSearch(f"http://127.0.0.1:{server.server_address[1]}", "docs", Vendor(), engine="faiss")
texts = [f"text {number}" for number in range(300)]
for name, given in (
    ("a list of 300", texts),
    ("a generator of 300", (text for text in texts)),
    ("a list of 600", texts * 2),
):
    Vendor.paid = Node.indexed = 0
    try:
        said = f"{len(store.add_texts(given))} ids"
    except Exception as error:
        said = type(error).__name__
    print(f"{name}: {said}, texts embedded {Vendor.paid}, documents indexed {Node.indexed}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
a list of 300: 300 ids, texts embedded 300, documents indexed 300
a generator of 300: 0 ids, texts embedded 300, documents indexed 0
a list of 600: RuntimeError, texts embedded 600, documents indexed 0
EXPECTED
