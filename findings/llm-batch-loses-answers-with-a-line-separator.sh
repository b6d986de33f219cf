#!/usr/bin/env bash
# The iter_lines() of the openai SDK cuts a file at every character that Unicode calls a line end (U+2028, U+0085, ...),
# and JSON allows these inside a string: a valid line of a batch's output comes in pieces. LLMBatchOperator of Airflow's
# common-ai reads so: the answer is a logged warning, its row counts as "missing", and the row was paid for.
# Hurts: who reads answers (texts copied from the web have U+2028) of a server that writes characters as they are, as
# orjson, pydantic and serde do; a clear reads the same file and loses the same rows.
# Versions: openai 3.54.0, apache-airflow-providers-common-ai 1.0.0, apache-airflow 3.3.2, Python 3.11.
# Seen on 2026-11-28. Guess: lines end at \n, as JSON Lines says; common-ai's own document loader reads them so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openai==3.54.0 apache-airflow==3.3.2 apache-airflow-providers-common-ai==1.0.0

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR NO_PROXY=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from airflow.providers.common.ai.batch.openai import OpenAIBatchAdapter
from openai import OpenAI

ANSWERS = ["plain", "a\u2028b", "a\u0085b", "last"]
LINES = [
    {
        "custom_id": f"key-{number}",
        "response": {
            "status_code": 200,
            "body": {"model": "m", "choices": [{"finish_reason": "stop", "message": {"content": answer}}]},
        },
        "error": None,
    }
    for number, answer in enumerate(ANSWERS)
]
OUTPUT = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES).encode()
BATCH = {
    "id": "batch-1", "object": "batch", "status": "completed", "output_file_id": "output", "created_at": 1,
    "endpoint": "/v1/chat/completions", "completion_window": "24h", "input_file_id": "input",
}


class Vendor(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        content = OUTPUT if self.path.endswith("/content") else json.dumps(BATCH).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = OpenAI(api_key="fake", base_url=f"http://127.0.0.1:{server.server_address[1]}/v1")
content = client.files.content("output").content
print("JSON lines in the file, all valid:", len([json.loads(line) for line in content.rstrip(b"\n").split(b"\n")]))
print("lines by iter_lines:", len(list(client.files.content("output").iter_lines())))
with client.files.with_streaming_response.content("output") as response:
    print("lines by iter_lines, streaming:", len(list(response.iter_lines())))
rows = list(OpenAIBatchAdapter(client=client).iter_results("batch-1"))
print("rows that common-ai lands:", [row.index for row in rows], "of", list(range(len(ANSWERS))))
PYTHON
) || { cat "$folder/log"; exit 1; }
seen=$(grep -v -i warning <<<"$seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
JSON lines in the file, all valid: 4
lines by iter_lines: 6
lines by iter_lines, streaming: 6
rows that common-ai lands: [0, 3] of [0, 1, 2, 3]
EXPECTED
