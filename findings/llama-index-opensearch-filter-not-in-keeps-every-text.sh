#!/usr/bin/env bash
# OpensearchVectorStore of llama-index sends the filter NIN (none of these values) for texts to the analyzed field and
# not to its ".keyword", as it does for EQ, NE and IN. The analyzed field holds single words in lower case: a value with
# a capital, a blank or a hyphen is never among them, and the filter excludes nothing. Numbers and lower-case words are
# excluded well, so it looks right when tried with those.
# Hurts: who keeps what is listed and removes the rest: delete_nodes with NIN ["DE", "FR"] erases DE and FR too. And who
# leaves sources, languages or statuses out of a search: they are in the answer.
# Versions: llama-index-vector-stores-opensearch 1.3.0, llama-index-core 0.14.25, opensearch-py 3.2.0, Python 3.11.
# Seen on 2026-11-29, the same on a node of OpenSearch 3.6.0: of five documents none was left.
# Guess: NIN is the opposite of IN, as llama-index's SimpleVectorStore has it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet llama-index-vector-stores-opensearch==1.3.0 llama-index-core==0.14.25 \
    'opensearch-py[async]==3.2.0'

export NO_PROXY=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters
from llama_index.vector_stores.opensearch import OpensearchVectorClient, OpensearchVectorStore


class Node(BaseHTTPRequestHandler):
    """A node that maps texts as OpenSearch does without a mapping: analyzed into words, and whole in .keyword."""

    protocol_version = "HTTP/1.1"
    documents = {}
    asked = None

    def log_message(self, *_):
        pass

    def holds(self, document, query):
        (kind, clause), = query.items()
        if kind == "bool":
            found = all(self.holds(document, part) for part in clause.get("filter", []) + clause.get("must", []))
            return found and not ("must_not" in clause and self.holds(document, clause["must_not"]))
        (field, wanted), = clause.items()
        name, _, whole = field.removeprefix("metadata.").partition(".")
        value = document["metadata"][name]
        indexed = [value] if whole or not isinstance(value, str) else re.findall(r"\w+", value.lower())
        return any(term in indexed for term in (wanted if kind == "terms" else [wanted]))

    def answer(self):
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        answer = {"version": {"number": "3.6.0"}, "corpus": {}}
        if self.path.startswith("/_bulk"):
            lines = [json.loads(line) for line in content.splitlines()]
            added = {line["index"]["_id"]: source for line, source in zip(lines[::2], lines[1::2])}
            Node.documents.update(added)
            answer = {"errors": False, "items": [{"index": {"_id": name, "status": 201}} for name in added]}
        elif "_delete_by_query" in self.path:
            Node.asked = json.loads(content)["query"]
            gone = [name for name, source in Node.documents.items() if self.holds(source, Node.asked)]
            for name in gone:
                del Node.documents[name]
            answer = {"deleted": len(gone), "failures": []}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer


server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = OpensearchVectorClient(f"http://127.0.0.1:{server.server_address[1]}", "corpus", 2)
VALUES = {"de": ("DE", 1), "fr": ("FR", 2), "en": ("EN", 3), "br": ("pt-BR", 4)}


def left(store, key, operator, value, names):
    store.add([
        TextNode(id_=name, text=name, embedding=[1.0, 0.5], metadata={"lang": lang, "tier": tier})
        for name, (lang, tier) in VALUES.items()
    ])
    store.delete_nodes(filters=MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)]))
    return sorted(names())


for key, operator, value in (
    ("lang", FilterOperator.IN, ["DE", "FR"]), ("lang", FilterOperator.NE, "DE"),
    ("tier", FilterOperator.NIN, [1, 2]), ("lang", FilterOperator.NIN, ["DE", "FR"]),
):
    simple = SimpleVectorStore()
    print(
        f"delete {key} {operator.name} {value}: left",
        left(OpensearchVectorStore(client), key, operator, value, lambda: Node.documents),
        "SimpleVectorStore", left(simple, key, operator, value, lambda: simple.data.embedding_dict),
    )
    print("  sent:", json.dumps(Node.asked["bool"]["filter"][0]["bool"]["must"][0]))
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
delete lang IN ['DE', 'FR']: left ['br', 'en'] SimpleVectorStore ['br', 'en']
  sent: {"terms": {"metadata.lang.keyword": ["DE", "FR"]}}
delete lang NE DE: left ['de'] SimpleVectorStore ['de']
  sent: {"bool": {"must_not": {"term": {"metadata.lang.keyword": "DE"}}}}
delete tier NIN [1, 2]: left ['de', 'fr'] SimpleVectorStore ['de', 'fr']
  sent: {"bool": {"must_not": {"terms": {"metadata.tier": [1, 2]}}}}
delete lang NIN ['DE', 'FR']: left [] SimpleVectorStore ['de', 'fr']
  sent: {"bool": {"must_not": {"terms": {"metadata.lang": ["DE", "FR"]}}}}
EXPECTED
