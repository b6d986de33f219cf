#!/usr/bin/env bash
# embed_content of google-genai sends a list of texts as so many requests for gemini-embedding-001, and as one request
# with so many parts for gemini-embedding-2: one vector for all of them. The call, its types and its return are the
# same. batches.create_embeddings sends one request a text for either model.
# Hurts: who changes the model's name alone: `zip(texts, response.embeddings)` keeps the first text of each list with
# the vector of them all, and loses the others without an error. Sent by batch, the same list gets one each.
# A list of types.Content (one a text) is one request a text for both.
# Versions: google-genai 3.6.1, Python 3.11. Seen on 2026-11-28.
# Guess: one embedding a text, as the older model and the batch have it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet google-genai==3.6.1

export NO_PROXY=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google import genai
from google.genai import types


class Vendor(BaseHTTPRequestHandler):
    """One embedding a request."""

    requests: list = []

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "batch" in body:
            Vendor.requests = [each["request"] for each in body["batch"]["inputConfig"]["requests"]["requests"]]
            answer = {"name": "batches/1", "metadata": {"state": "BATCH_STATE_PENDING"}}
        else:
            Vendor.requests = body["requests"] if "requests" in body else [body]
            answer = {"embeddings": [{"values": [0.5]} for _ in Vendor.requests]}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
options = types.HttpOptions(base_url=f"http://127.0.0.1:{server.server_address[1]}")
client = genai.Client(api_key="fake", http_options=options)
texts = ["first", "second", "third"]


def parts():
    return [[part["text"] for part in request["content"]["parts"]] for request in Vendor.requests]


for model in ("gemini-embedding-001", "gemini-embedding-2"):
    kept = dict(zip(texts, client.models.embed_content(model=model, contents=texts).embeddings))
    print(f"{model}, texts: sent {parts()}, texts with a vector {list(kept)}")
    contents = [types.Content(parts=[types.Part(text=text)]) for text in texts]
    kept = dict(zip(texts, client.models.embed_content(model=model, contents=contents).embeddings))
    print(f"{model}, Contents: sent {parts()}, texts with a vector {list(kept)}")
    source = types.EmbeddingsBatchJobSource(inlined_requests=types.EmbedContentBatch(contents=texts))
    client.batches.create_embeddings(model=model, src=source)
    print(f"{model}, batch: sent {parts()}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
gemini-embedding-001, texts: sent [['first'], ['second'], ['third']], texts with a vector ['first', 'second', 'third']
gemini-embedding-001, Contents: sent [['first'], ['second'], ['third']], texts with a vector ['first', 'second', 'third']
gemini-embedding-001, batch: sent [['first'], ['second'], ['third']]
gemini-embedding-2, texts: sent [['first', 'second', 'third']], texts with a vector ['first']
gemini-embedding-2, Contents: sent [['first'], ['second'], ['third']], texts with a vector ['first', 'second', 'third']
gemini-embedding-2, batch: sent [['first'], ['second'], ['third']]
EXPECTED
