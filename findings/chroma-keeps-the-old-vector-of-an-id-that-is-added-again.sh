#!/usr/bin/env bash
# Collection.add of Chroma keeps what an id has and says nothing: of a document that is added again, with a new vector
# and a new text, neither is stored, and the call returns as for a new one. update of an id that is not there is as
# silent. get(ids=[…]) returns the rows in the order they were added in, without the ids that are not there.
# Hurts: who adds each night's vectors: changed documents keep their old ones, were paid for, and the task is green
# (upsert replaces them); who zips get(ids)["embeddings"] with the ids asked for: other documents' vectors.
# Versions: chromadb 1.5.9, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: an error for an id that is there, as add has it for one that is twice in a call; rows in the order asked for.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet chromadb==1.5.9 numpy==2.4.6

seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import chromadb

settings = chromadb.Settings(anonymized_telemetry=False)
docs = chromadb.EphemeralClient(settings).create_collection("docs", embedding_function=None)
names = ["d3", "d11", "d7"]
docs.add(ids=names, embeddings=[[3.0, 1.0], [11.0, 1.0], [7.0, 1.0]], documents=["three", "eleven", "seven"])


def had(*ids):
    found = docs.get(ids=list(ids), include=["embeddings", "documents"])
    rows = zip(found["ids"], found["embeddings"], found["documents"])
    return ", ".join(f"{name} [{vector[0]:.0f}] {text}" for name, vector, text in rows)


def tried(act, **row):
    try:
        act(**row)
    except Exception as error:
        return type(error).__name__
    return "no error"


print("asked for d7, d3, d9, d11:", had("d7", "d3", "d9", "d11"))
new = {"ids": ["d7"], "embeddings": [[70.0, 1.0]], "documents": ["seventy"]}
print(f"add d7 again: {tried(docs.add, **new)}, {had('d7')}")
print(f"upsert d7: {tried(docs.upsert, **new)}, {had('d7')}")
absent = {"ids": ["d9"], "embeddings": [[9.0, 1.0]], "documents": ["nine"]}
print(f"update d9: {tried(docs.update, **absent)}, {docs.count()} documents")
twice = {"ids": ["d8", "d8"], "embeddings": [[8.0, 1.0], [8.0, 2.0]], "documents": ["eight", "eight"]}
print(f"add d8 twice in a call: {tried(docs.add, **twice)}, {docs.count()} documents")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
asked for d7, d3, d9, d11: d3 [3] three, d11 [11] eleven, d7 [7] seven
add d7 again: no error, d7 [7] seven
upsert d7: no error, d7 [70] seventy
update d9: no error, 3 documents
add d8 twice in a call: DuplicateIDError, 3 documents
EXPECTED
