#!/usr/bin/env bash
# OpenAIDocumentEmbedder of Haystack goes on where the vendor refuses a batch (raise_on_failure is False): its documents
# leave the component without an embedding, DocumentWriter stores them, and the pipeline says "documents_written": 6.
# Once stored they are kept out of the repair: with DuplicatePolicy.SKIP all texts are embedded and paid again on the
# next night, and none of the vectors is written. OVERWRITE mends it.
# Hurts: who fills a store each night: one text that is too long leaves a batch of documents without a vector, the task
# is green, and so is the next night's. raise_on_failure=True raises.
# Versions: haystack-ai 3.4.1, openai 3.57.0, Python 3.11. Seen on 2026-11-29.
# Guess: an exception, as any component of a pipeline raises what it can't do, or documents without a vector left out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet haystack-ai==3.4.1 openai==3.57.0

export NO_PROXY=127.0.0.1 HAYSTACK_TELEMETRY_ENABLED=False
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from haystack import Document, Pipeline
from haystack.components.embedders import OpenAIDocumentEmbedder
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret


class Vendor(BaseHTTPRequestHandler):
    paid = 0
    refuses = ""

    def log_message(self, *_):
        pass

    def do_POST(self):
        texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
        status, answer = 400, {"error": {"message": "maximum context length is 8192 tokens", "code": None}}
        if Vendor.refuses not in texts:
            Vendor.paid += len(texts)
            data = [{"object": "embedding", "index": place, "embedding": [0.5]} for place in range(len(texts))]
            usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
            status, answer = 200, {"object": "list", "model": "m", "data": data, "usage": usage}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
store = InMemoryDocumentStore()


def night(name, policy, refuses="", **options):
    embedder = OpenAIDocumentEmbedder(
        api_key=Secret.from_token("fake"), api_base_url=f"http://127.0.0.1:{server.server_address[1]}/v1",
        batch_size=2, progress_bar=False, **options,
    )
    pipeline = Pipeline()
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("writer", DocumentWriter(store, policy=policy))
    pipeline.connect("embedder", "writer")
    Vendor.paid, Vendor.refuses = 0, refuses
    try:
        said = pipeline.run({"embedder": {"documents": [Document(content=f"text {place}") for place in range(6)]}})
        said = f"written {said['writer']['documents_written']}"
    except Exception as error:
        said = type(error).__name__
    without = sorted(document.content for document in store.filter_documents() if not document.embedding)
    print(f"{name}: {said}, paid {Vendor.paid}, stored {store.count_documents()}, without a vector {without}")


night("raise_on_failure", DuplicatePolicy.NONE, "text 2", raise_on_failure=True)
night("first night", DuplicatePolicy.NONE, "text 2")
night("second night, SKIP", DuplicatePolicy.SKIP)
night("third night, OVERWRITE", DuplicatePolicy.OVERWRITE)
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
raise_on_failure: PipelineRuntimeError, paid 2, stored 0, without a vector []
first night: written 6, paid 4, stored 6, without a vector ['text 2', 'text 3']
second night, SKIP: written 0, paid 6, stored 6, without a vector ['text 2', 'text 3']
third night, OVERWRITE: written 6, paid 6, stored 6, without a vector []
EXPECTED
