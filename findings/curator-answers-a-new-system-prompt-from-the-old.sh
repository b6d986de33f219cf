#!/usr/bin/env bash
# curator.LLM of bespokelabs-curator keeps answers under a hash of the rows, the prompt function, the model, the format
# and the generation parameters. The system prompt and the server (base_url of backend_params) are not in it: the same
# rows under another system prompt, or asked of another server, are answered from the files of the first, as new ones.
# A changed temperature is asked anew, so caching looks right when tried with that.
# Hurts: who corrects a system prompt, or compares two servers of the same model, on the same rows: the answers are the
# old ones, the run is a success, and two servers agree in each word. CURATOR_DISABLE_CACHE=true asks.
# Versions: bespokelabs-curator 0.1.31, litellm 1.83.7, openai 2.30.0, Python 3.11. Seen on 2026-11-28.
# Guess: whatever is sent to the model is part of the key.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet bespokelabs-curator==0.1.31 litellm==1.83.7 openai==2.30.0

# curator counts tokens with tiktoken, whose table litellm has in its package: nothing is fetched.
tokenizers=$(echo "$folder"/venv/lib/python3*/site-packages/litellm/litellm_core_utils/tokenizers)
export TIKTOKEN_CACHE_DIR="$tokenizers" LITELLM_LOCAL_MODEL_COST_MAP=True TELEMETRY_ENABLED=0 NO_PROXY=127.0.0.1
export CURATOR_CACHE_DIR="$folder/cache" CURATOR_DISABLE_RICH_DISPLAY=1 HF_HOME="$folder/home" HF_HUB_OFFLINE=1
export OPENAI_API_KEY=fake
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bespokelabs import curator

ROWS = ["first row", "second row"]


class Vendor(BaseHTTPRequestHandler):
    asked = 0

    def log_message(self, *_):
        pass

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = {message["role"]: message["content"] for message in request["messages"]}
        Vendor.asked += said.get("user") in ROWS  # curator also asks for the limits, without a row
        answer = f"{self.server.called}, told to {said.get('system')}"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = {"id": "x", "object": "chat.completion", "created": 1, "model": request["model"]}
        content = json.dumps({**body, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def serve(called):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.called = called
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/v1"


def ask(url, system, **options):
    Vendor.asked = 0
    limits = {"base_url": url, "max_requests_per_minute": 1000, "max_tokens_per_minute": 100_000}
    model = curator.LLM(
        model_name="gpt-4o-mini", backend="openai", backend_params=limits, system_prompt=system, **options
    )
    answers = {row["response"] for row in model(ROWS).dataset}
    return f"rows asked {Vendor.asked}, answers {sorted(answers)}"


old, new = serve("old server"), serve("new server")
print("SEEN first:", ask(old, "write English"))
print("SEEN other system prompt:", ask(old, "write German"))
print("SEEN other server:", ask(new, "write English"))
print("SEEN other temperature:", ask(new, "write German", generation_params={"temperature": 0.5}))
PYTHON
) || { cat "$folder/log"; exit 1; }
seen=$(sed -n 's/^SEEN //p' <<<"$seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
first: rows asked 2, answers ['old server, told to write English']
other system prompt: rows asked 0, answers ['old server, told to write English']
other server: rows asked 0, answers ['old server, told to write English']
other temperature: rows asked 2, answers ['new server, told to write German']
EXPECTED
