#!/usr/bin/env bash
# daft's embed_text through OpenAI (or a server like it) returns rows in the order in which the batches were answered:
# where the second batch is faster than the first, its rows come first, also after a sort. The help of the setting
# maintain_order says that order is kept and that it is on by default. Functions that are not async keep it, and so does
# an async one over single rows; each async batch function loses it. A column keeps to its row, so a frame with an id
# looks right, and the texts of a test, one batch, come in order.
# Hurts: who takes the vectors alone, to_pydict()["vector"] or select("vector"), for an array beside the ids, or sorts
# before: each vector is a real one and belongs to another text, and which one depends on the vendor's load that night.
# Select the id with it, or sort after.
# Versions: daft 0.7.26, openai 3.57.0, pyarrow 25.0.1, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: the order of the rows that went in, as maintain_order has it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet daft==0.7.26 openai==3.57.0 pyarrow==25.0.1 numpy==2.4.6

seen=$(DAFT_ANALYTICS_ENABLED=0 DO_NOT_TRACK=1 DAFT_PROGRESS_BAR=0 "$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import daft
from daft.ai.openai.provider import OpenAIProvider
from daft.functions import embed_text

PATIENCE = 60
second_answered = threading.Event()


class Vendor(BaseHTTPRequestHandler):
    """The vector of a text is its length; the batch with the first text waits until another one is answered."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = asked["input"]
        if texts[0] == "1" and len(texts) < 4:
            second_answered.wait(PATIENCE)
            time.sleep(1)
        vectors = [{"object": "embedding", "index": i, "embedding": [float(len(t)), 0.5]} for i, t in enumerate(texts)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        body = json.dumps({"object": "list", "data": vectors, "model": asked["model"], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if texts[0] != "1":
            second_answered.set()

    def log_message(self, *_):
        pass


@daft.func.batch(return_dtype=daft.DataType.int64(), batch_size=2)
async def length_async(texts):
    first = texts.to_pylist()[0] == "1"
    await asyncio.sleep(3 if first else 0)
    return [len(text) for text in texts.to_pylist()]


@daft.func.batch(return_dtype=daft.DataType.int64(), batch_size=2)
def length(texts):
    first = texts.to_pylist()[0] == "1"
    time.sleep(3 if first else 0)
    return [len(text) for text in texts.to_pylist()]


@daft.func(return_dtype=daft.DataType.int64())
async def length_of_one(text: str):
    await asyncio.sleep(3 if text == "1" else 0)
    return len(text)


line = next(line for line in daft.set_execution_config.__doc__.splitlines() if "maintain_order:" in line)
print("help: " + line.split("Some blocking")[0].strip())

server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
vendor = OpenAIProvider(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none")
rows = daft.from_pydict({"id": ["a", "b", "c", "d"], "text": ["1", "22", "333", "4444"]})


def embedded(frame, batch_size):
    second_answered.clear()
    options = {"provider": vendor, "model": "m", "batch_size": batch_size}
    return frame.with_column("vector", embed_text(frame["text"], **options))


def firsts(vectors):
    return [int(vector[0]) for vector in vectors]


print("texts have the lengths 1, 2, 3, 4")
print("embed_text, one batch:", firsts(embedded(rows, 4).to_pydict()["vector"]))
print("embed_text, two batches:", firsts(embedded(rows, 2).to_pydict()["vector"]))
print("embed_text, two batches, select:", firsts(embedded(rows, 2).select("vector").to_pydict()["vector"]))
answer = embedded(rows.sort("id"), 2).to_pydict()
print("embed_text, sorted by id before:", answer["id"], firsts(answer["vector"]))
answer = embedded(rows, 2).sort("id").to_pydict()
print("embed_text, sorted by id after:", answer["id"], firsts(answer["vector"]))
for name, function in (("async batch", length_async), ("batch", length), ("async, single rows", length_of_one)):
    print(f"a function, {name}:", rows.select(function(rows["text"]).alias("n")).to_pydict()["n"])
server.shutdown()
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
help: maintain_order: Whether to maintain order during execution. Defaults to True.
texts have the lengths 1, 2, 3, 4
embed_text, one batch: [1, 2, 3, 4]
embed_text, two batches: [3, 4, 1, 2]
embed_text, two batches, select: [3, 4, 1, 2]
embed_text, sorted by id before: ['c', 'd', 'a', 'b'] [3, 4, 1, 2]
embed_text, sorted by id after: ['a', 'b', 'c', 'd'] [1, 2, 3, 4]
a function, async batch: [3, 4, 1, 2]
a function, batch: [1, 2, 3, 4]
a function, async, single rows: [1, 2, 3, 4]
EXPECTED
