#!/usr/bin/env bash
# A batch function of daft that returns one value for a batch of many rows is no error: the value is given to each row
# of the batch. Two values for three rows, or none, are an error. embed_text does the same where a server answers a list
# of texts with one vector. So do functions with @daft.func.batch, sync or async, @daft.method.batch and @daft.udf;
# their help says nothing of it. polars' map_batches, asked for a function of elements, refuses one value.
# Hurts: who embeds with a client that takes a list for one text (one vector of several parts, of an averaged or joined
# input, a mean that forgot its axis): each row has a vector of the right length, all of a batch have the same, no count
# is off, and all texts of a batch are each other's nearest. A last batch of one row is right, which a small test has.
# An assert on the length, in the function, is the cure.
# Versions: daft 0.7.26, openai 3.57.0, polars 2.1.0, pyarrow 25.0.1, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: an error for each number of values that is not the number of rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet daft==0.7.26 openai==3.57.0 polars==2.1.0 pyarrow==25.0.1 numpy==2.4.6

seen=$(DAFT_ANALYTICS_ENABLED=0 DO_NOT_TRACK=1 DAFT_PROGRESS_BAR=0 "$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import daft
import numpy as np
import polars as pl
from daft.ai.openai.provider import OpenAIProvider
from daft.functions import embed_text

VECTOR = daft.DataType.list(daft.DataType.float64())
rows = daft.from_pydict({"id": [1, 2, 3], "text": ["a", "bb", "ccc"]})
sent = 0


def client(texts):
    """A client that sends as many vectors as `sent` says, the first of them that of the first text."""
    return [[float(len(text)), 0.5] for text in texts][:sent]


def show(name, call):
    try:
        print(f"{name}: {call()}")
    except Exception as error:
        words = str(error).split("\n")[0]
        print(f"{name}: {type(error).__name__}: {words[:110]}")


@daft.func.batch(return_dtype=VECTOR)
def of_batch(texts):
    return client(texts.to_pylist())


@daft.func.batch(return_dtype=VECTOR, batch_size=2)
def of_batch_of_two(texts):
    return client(texts.to_pylist())


@daft.func.batch(return_dtype=VECTOR)
async def of_batch_async(texts):
    return client(texts.to_pylist())


@daft.func.batch(return_dtype=daft.DataType.float64())
def mean_without_axis(texts):
    return np.array([np.mean([[len(text), 0.5] for text in texts.to_pylist()])])


@daft.cls
class Model:
    @daft.method.batch(return_dtype=VECTOR)
    def of_batch(self, texts):
        return client(texts.to_pylist())


@daft.udf(return_dtype=VECTOR)
def of_udf(texts):
    return client(texts.to_pylist())


def column(function):
    answer = rows.with_column("v", function(rows["text"])).sort("id").to_pydict()["v"]
    return [None if v is None else list(v) if isinstance(v, list) else round(v, 2) for v in answer]


for sent in (3, 2, 0, 1):
    show(f"batch, {sent} for 3 rows", lambda: column(of_batch))
show("batches of two, 1 each", lambda: column(of_batch_of_two))
show("async batch, 1 for 3 rows", lambda: column(of_batch_async))
show("method of a class, 1 for 3 rows", lambda: column(Model().of_batch))
show("udf, 1 for 3 rows", lambda: column(of_udf))
show("numpy, a mean without its axis", lambda: column(mean_without_axis))

frame = pl.DataFrame({"text": ["a", "bb", "ccc"]})
one = pl.col("text").map_batches(lambda texts: pl.Series([[1.0, 0.5]]), is_elementwise=True, return_dtype=pl.List(pl.Float64))
show("polars, map_batches, 1 for 3 rows", lambda: frame.with_columns(v=one)["v"].to_list())


class Server(BaseHTTPRequestHandler):
    """Answers a list of texts with one vector."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        vectors = [{"object": "embedding", "index": 0, "embedding": [float(len(asked["input"][0])), 0.5]}]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        body = json.dumps({"object": "list", "data": vectors, "model": asked["model"], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
vendor = OpenAIProvider(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none")
answer = rows.with_column("v", embed_text(rows["text"], provider=vendor, model="m")).sort("id").to_pydict()["v"]
print("embed_text, 1 for 3 rows:", [[float(x) for x in vector] for vector in answer])
server.shutdown()

for name, thing in (("daft.func.batch", daft.func.batch), ("daft.method.batch", daft.method.batch)):
    words = (thing.__doc__ or "").lower()
    print(f"help of {name} speaks of a length or of broadcasting: {'length' in words or 'broadcast' in words}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
batch, 3 for 3 rows: [[1.0, 0.5], [2.0, 0.5], [3.0, 0.5]]
batch, 2 for 3 rows: DaftCoreException: DaftError::ValueError Cannot append column to RecordBatch of length 3 with column of length 2
batch, 0 for 3 rows: DaftCoreException: DaftError::ValueError Cannot append column to RecordBatch of length 3 with column of length 0
batch, 1 for 3 rows: [[1.0, 0.5], [1.0, 0.5], [1.0, 0.5]]
batches of two, 1 each: [[1.0, 0.5], [1.0, 0.5], [3.0, 0.5]]
async batch, 1 for 3 rows: [[1.0, 0.5], [1.0, 0.5], [1.0, 0.5]]
method of a class, 1 for 3 rows: [[1.0, 0.5], [1.0, 0.5], [1.0, 0.5]]
udf, 1 for 3 rows: [[1.0, 0.5], [1.0, 0.5], [1.0, 0.5]]
numpy, a mean without its axis: [1.25, 1.25, 1.25]
polars, map_batches, 1 for 3 rows: InvalidOperationError: Series v, length 1 doesn't match the DataFrame height of 3
embed_text, 1 for 3 rows: [[1.0, 0.5], [1.0, 0.5], [1.0, 0.5]]
help of daft.func.batch speaks of a length or of broadcasting: False
help of daft.method.batch speaks of a length or of broadcasting: False
EXPECTED
