#!/usr/bin/env bash
# IngestionPipeline of LlamaIndex caches by the text and the metadata of a document, not by its id, and gives back the
# nodes as they were: those of "b" have the ids and the ref_doc_id of "a", a document with the same text that came in an
# earlier run. The cache is on by default. In the vector store "b" has no node, and deleting "a" removes what "b" needs.
# In one run both get nodes of their own, so the outcome depends on how documents fell into runs.
# Hurts: who ingests shard by shard or night by night where texts repeat (boilerplate, a ticket that was filed twice, a
# document under a new id): hits name another document, an erased document takes others along, and a count by document
# is short; nothing is logged. disable_cache=True keeps them apart.
# Versions: llama-index-core 0.14.25, Python 3.11. Seen on 2026-11-29.
# Guess: cached is the vector (or the text of the chunk), and node_id and ref_doc_id are of the document that was given.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet llama-index-core==0.14.25

seen=$(cd "$folder" && venv/bin/python -W ignore - 2>"$folder/log" <<'PYTHON'
from llama_index.core import Document
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.vector_stores import SimpleVectorStore


def stored(runs, **options):
    store = SimpleVectorStore()
    steps = [SentenceSplitter(), MockEmbedding(embed_dim=2)]
    pipeline = IngestionPipeline(transformations=steps, vector_store=store, **options)
    for names in runs:
        pipeline.run(documents=[Document(text="The same words.", id_=name) for name in names])
    before = sorted(store.data.text_id_to_ref_doc_id.values())
    store.delete("a")
    return f"nodes of {before}, after a is deleted of {sorted(store.data.text_id_to_ref_doc_id.values())}"


print("a and b in one run:", stored([["a", "b"]]))
print("a, then b:", stored([["a"], ["b"]]))
print("a, then b and c:", stored([["a"], ["b", "c"]]))
print("a, then b, no cache:", stored([["a"], ["b"]], disable_cache=True))
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
a and b in one run: nodes of ['a', 'b'], after a is deleted of ['b']
a, then b: nodes of ['a'], after a is deleted of []
a, then b and c: nodes of ['a', 'b', 'c'], after a is deleted of ['b', 'c']
a, then b, no cache: nodes of ['a', 'b'], after a is deleted of ['b']
EXPECTED
