#!/usr/bin/env bash
# helpers.scan of opensearch-py raises ScanError where a shard failed, by default, but looks at the shards only of pages
# that have hits. A page without hits is taken for the end, also where it says that a shard failed: what lies on that
# shard is missing, and nothing is raised or logged. async_scan does the same. "timed_out": true is not looked at, on
# any page.
# Hurts: who reads an index to embed what is new, or to compare ids before erasing: a query whose documents lie on the
# failing shard has no documents, so a night embeds nothing, or a clean-up removes what "is not in the index".
# Versions: opensearch-py 3.2.0, Python 3.11. Seen on 2026-11-28.
# Guess: raise_on_error "raises an exception if an error is encountered (some shards fail to execute)", on each page.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'opensearch-py[async]==3.2.0'

export NO_PROXY=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opensearchpy import AsyncOpenSearch, OpenSearch
from opensearchpy.helpers import async_scan, scan

WELL = {"total": 2, "successful": 2, "skipped": 0, "failed": 0}
REASON = {"type": "circuit_breaking_exception", "reason": "Data too large"}
FAILED = {**WELL, "successful": 1, "failed": 1, "failures": [{"shard": 1, "index": "docs", "reason": REASON}]}


def page(names, shards=WELL, timed_out=False):
    hits = [{"_index": "docs", "_id": name, "_source": {}} for name in names]
    return {"_scroll_id": "s", "timed_out": timed_out, "_shards": shards, "hits": {"hits": hits}}


class Node(BaseHTTPRequestHandler):
    pages: list = []

    def log_message(self, *_):
        pass

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = {"succeeded": True} if self.command == "DELETE" else Node.pages.pop(0)
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer


server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}"
client = OpenSearch(url)


async def later():
    async with AsyncOpenSearch(url) as other:
        return [hit["_id"] async for hit in async_scan(other, index="docs")]


def read(run):
    try:
        return run()
    except Exception as error:
        return type(error).__name__


cases = {
    "all well": lambda: [page("ab"), page("c"), page("")],
    "a shard fails, the other has hits": lambda: [page("ab", FAILED), page("")],
    "a shard fails, the other has none": lambda: [page("", FAILED)],
    "a shard fails on the last page": lambda: [page("ab"), page("", FAILED)],
    "a page that timed out": lambda: [page("a", timed_out=True), page("")],
}
for name, pages in cases.items():
    Node.pages = pages()
    said = read(lambda: [hit["_id"] for hit in scan(client, index="docs")])
    Node.pages = pages()
    print(f"{name}: scan {said}, async_scan {read(lambda: asyncio.run(later()))}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
all well: scan ['a', 'b', 'c'], async_scan ['a', 'b', 'c']
a shard fails, the other has hits: scan ScanError, async_scan ScanError
a shard fails, the other has none: scan [], async_scan []
a shard fails on the last page: scan ['a', 'b'], async_scan ['a', 'b']
a page that timed out: scan ['a'], async_scan ['a']
EXPECTED
