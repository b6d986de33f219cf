#!/usr/bin/env bash
# cohere's datasets.create(data=stream) repeats an upload that was answered 503, 429 or 408, also where the stream can't
# be read again, such as the body of an S3 object from boto3: the second request has a file without a byte. Where it is
# taken, the call returns a dataset id as always, and the dataset has no rows.
# Hurts: who hands a corpus from S3 on to an embed job: a job over nothing, or a dataset that fails to validate, without
# a trace of the 503 that began it. The openai SDK never repeats such a stream.
# Versions: cohere 7.3.1, botocore 1.43.117, Python 3.11. Seen on 2026-11-28.
# Guess: no repetition of what cannot be read twice: the 503 is raised; a file on disk is repeated whole (it is).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cohere==7.3.1 botocore==1.43.117

export NO_PROXY=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - "$folder" 2>"$folder/log" <<'PYTHON'
import json
import pathlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cohere
from botocore.response import StreamingBody

ROWS = 1000


class Vendor(BaseHTTPRequestHandler):
    """Busy at the first upload, takes the second."""

    rows = []

    def log_message(self, *_):
        pass

    def do_POST(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["content-length"]))
        Vendor.rows.append(body.count(b'{"text"'))
        status, answer = (503, {"message": "busy"}) if len(Vendor.rows) == 1 else (200, {"id": "dataset-1"})
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = cohere.Client(api_key="fake", base_url=f"http://127.0.0.1:{server.server_address[1]}")
path = pathlib.Path(sys.argv[1], "rows.jsonl")
path.write_text('{"text": "a"}\n' * ROWS)
with path.open("rb") as file, path.open("rb") as other:
    body = StreamingBody(other, path.stat().st_size)
    for name, source in (("a file", file), ("the body of an S3 object", body)):
        Vendor.rows = []
        try:
            said = client.datasets.create(name="corpus", type="embed-input", data=source).id
        except Exception as error:
            said = f"{type(error).__name__}"
        print(f"{name} of {ROWS} rows: {said}; rows in each request: {Vendor.rows}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
a file of 1000 rows: dataset-1; rows in each request: [1000, 1000]
the body of an S3 object of 1000 rows: dataset-1; rows in each request: [1000, 0]
EXPECTED
