#!/usr/bin/env bash
# The cache of litellm keeps embeddings under the model and the text, and not under input_type: a question that is asked
# with input_type="search_query" after the same words were embedded as a document is answered with the document's
# vector, without asking. dimensions is in the key, so caching looks right when tried with dimensions.
# Hurts: who caches embeddings of a model that has two kinds, as Cohere's: titles or short texts that are searched for
# by their words are of the wrong kind, and which kind is decided by who came first.
# A Cache with a `namespace` for each kind keeps them apart.
# Versions: litellm 1.110.2, Python 3.11. Seen on 2026-11-29.
# Guess: whatever changes the vector is part of the key.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet litellm==1.110.2

export NO_PROXY=127.0.0.1 LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_LOG=ERROR
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm
from litellm.caching.caching import Cache

KINDS = {"search_document": 1.0, "search_query": 2.0}


class Vendor(BaseHTTPRequestHandler):
    asked = 0

    def log_message(self, *_):
        pass

    def do_POST(self):
        Vendor.asked += 1
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        vector = [KINDS[body["input_type"]], float(body.get("output_dimension", 0))]
        answer = {"id": "1", "texts": body["texts"], "embeddings": {"float": [vector for _ in body["texts"]]},
                  "meta": {"billed_units": {"input_tokens": 1}}}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
litellm.suppress_debug_info = True


async def embed(name, kind, **options):
    Vendor.asked = 0
    url = f"http://127.0.0.1:{server.server_address[1]}/v2/embed"
    answer = await litellm.aembedding(
        model="cohere/embed-v4.0", input=["refund policy"], input_type=kind, api_base=url, api_key="fake",
        caching=True, **options,
    )
    for _ in range(100):
        if Vendor.asked == 0 or litellm.cache.cache.cache_dict:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    print(f"{name}: asked {Vendor.asked}, vector {answer.data[0]['embedding']}")


async def main():
    litellm.cache = Cache(type="local")
    await embed("a document", "search_document")
    await embed("the same words as a query", "search_query")
    await embed("a document, 256 dimensions", "search_document", dimensions=256)
    await embed("a query, 256 dimensions", "search_query", dimensions=256)
    litellm.cache = Cache(type="local")
    await embed("an empty cache, a query", "search_query")
    await embed("the same words as a document", "search_document")
    kept = litellm.cache.cache
    for kind in KINDS:
        litellm.cache = Cache(type="local", namespace=kind)
        litellm.cache.cache = kept
        await embed(f"the same cache, a namespace, {kind}", kind)


asyncio.run(main())
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
a document: asked 1, vector [1.0, 0.0]
the same words as a query: asked 0, vector [1.0, 0.0]
a document, 256 dimensions: asked 1, vector [1.0, 256.0]
a query, 256 dimensions: asked 0, vector [1.0, 256.0]
an empty cache, a query: asked 1, vector [2.0, 0.0]
the same words as a document: asked 0, vector [2.0, 0.0]
the same cache, a namespace, search_document: asked 1, vector [1.0, 0.0]
the same cache, a namespace, search_query: asked 1, vector [2.0, 0.0]
EXPECTED
