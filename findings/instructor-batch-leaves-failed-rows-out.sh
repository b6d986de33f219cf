#!/usr/bin/env bash
# instructor's BatchProcessor for OpenAI reads the output file of a batch and never its error file. Rows that failed are
# no BatchError among the results: they are not there at all, and results say nothing of how many were sent. A batch
# that expired is an exception, and the rows that were answered and paid for cannot be had.
# Hurts: who zips results with the input, or counts errors to judge a night: none, while rows are gone.
# Versions: instructor 1.17.0, openai 3.3.0, Python 3.11. Seen on 2026-11-28.
# Guess: a list of BatchSuccess and BatchError, one a request, as the types suggest.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet instructor==1.17.0 openai==3.3.0

export NO_PROXY=127.0.0.1 OPENAI_API_KEY=fake
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from instructor.batch import BatchProcessor
from pydantic import BaseModel


class City(BaseModel):
    name: str


def line(number, status, body):
    response = {"status_code": status, "body": body}
    return json.dumps({"custom_id": f"request-{number}", "response": response, "error": None}) + "\n"


def answered(number):
    message = {"role": "assistant", "content": json.dumps({"name": f"city {number}"})}
    return line(number, 200, {"choices": [{"finish_reason": "stop", "message": message}]})


FILES = {
    "output": "".join(answered(number) for number in (0, 2, 3)),
    "errors": "".join(line(number, 400, {"error": {"message": "too long"}}) for number in (1, 4)),
}


class Vendor(BaseHTTPRequestHandler):
    status = "completed"
    asked = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        parts = self.path.split("/")
        if parts[-1] == "content":
            Vendor.asked.append(parts[-2])
            content = FILES[parts[-2]]
        else:
            content = json.dumps({
                "id": "batch-1", "object": "batch", "status": Vendor.status, "created_at": 1, "input_file_id": "input",
                "endpoint": "/v1/chat/completions", "completion_window": "24h", "output_file_id": "output",
                "error_file_id": "errors", "request_counts": {"total": 5, "completed": 3, "failed": 2},
            })
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["OPENAI_BASE_URL"] = f"http://127.0.0.1:{server.server_address[1]}/v1"
processor = BatchProcessor("openai/gpt-4o-mini", City)
for Vendor.status in ("completed", "expired"):
    Vendor.asked = []
    try:
        results = [f"{result.custom_id} {type(result).__name__.split('[')[0]}" for result in processor.get_results("batch-1")]
    except Exception as error:
        results = f"{type(error).__name__}: {error}"
    print(f"{Vendor.status}, 5 sent, 3 answered, 2 failed: {results}; files read: {Vendor.asked}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
completed, 5 sent, 3 answered, 2 failed: ['request-0 BatchSuccess', 'request-2 BatchSuccess', 'request-3 BatchSuccess']; files read: ['output']
expired, 5 sent, 3 answered, 2 failed: Exception: Failed to retrieve OpenAI results: Batch not completed, status: expired; files read: []
EXPECTED
