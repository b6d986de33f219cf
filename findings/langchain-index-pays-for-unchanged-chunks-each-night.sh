#!/usr/bin/env bash
# index(…, cleanup="incremental") of langchain deletes and embeds again, at each run, all chunks of a source after the
# first 100 (batch_size), although nothing changed: after a batch it deletes the source's chunks that this run has not
# seen yet, and then meets them as new. The documentation speaks of "redundant work" for such sources; it is the whole
# rest, each night. Where embedding fails in between, they are gone from the store.
# Hurts: who keeps an index by it, one source a file: of a book of 250 chunks 150 are paid each night, and on a night
# when the vendor fails, all but 100 chunks of each long document are gone from the index. cleanup="full" and
# "scoped_full" pay nothing.
# Versions: langchain-core 1.8.3, Python 3.11. Seen on 2026-11-29.
# Guess: nothing is embedded and nothing deleted where nothing changed, as the count num_skipped is for.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-core==1.8.3

seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import time

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore


class Vendor(Embeddings):
    paid = 0
    down = False

    def embed_documents(self, texts):
        if Vendor.down:
            raise ConnectionError("the vendor is down")
        Vendor.paid += len(texts)
        return [[0.5, 0.5] for _ in texts]

    def embed_query(self, text):
        return [0.5, 0.5]


book = [Document(page_content=f"chunk {place}", metadata={"source": "book.txt"}) for place in range(250)]
for cleanup in ("full", "scoped_full", "incremental"):
    records, store = InMemoryRecordManager("docs"), InMemoryVectorStore(Vendor())
    records.create_schema()
    for night in ("first night", "second night", "third night", "fourth night, the vendor is down"):
        Vendor.paid, Vendor.down = 0, "down" in night
        try:
            counts = index(book, records, store, cleanup=cleanup, source_id_key="source", key_encoder="sha256")
            said = ", ".join(f"{name[4:]} {count}" for name, count in counts.items())
        except ConnectionError as error:
            said = type(error).__name__
        print(f"{cleanup}, {night}: {said}; paid {Vendor.paid}, in the store {len(store.store)}")
        begun = records.get_time()
        while records.get_time() <= begun:
            time.sleep(0.001)
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
full, first night: added 250, updated 0, skipped 0, deleted 0; paid 250, in the store 250
full, second night: added 0, updated 0, skipped 250, deleted 0; paid 0, in the store 250
full, third night: added 0, updated 0, skipped 250, deleted 0; paid 0, in the store 250
full, fourth night, the vendor is down: added 0, updated 0, skipped 250, deleted 0; paid 0, in the store 250
scoped_full, first night: added 250, updated 0, skipped 0, deleted 0; paid 250, in the store 250
scoped_full, second night: added 0, updated 0, skipped 250, deleted 0; paid 0, in the store 250
scoped_full, third night: added 0, updated 0, skipped 250, deleted 0; paid 0, in the store 250
scoped_full, fourth night, the vendor is down: added 0, updated 0, skipped 250, deleted 0; paid 0, in the store 250
incremental, first night: added 250, updated 0, skipped 0, deleted 0; paid 250, in the store 250
incremental, second night: added 150, updated 0, skipped 100, deleted 150; paid 150, in the store 250
incremental, third night: added 150, updated 0, skipped 100, deleted 150; paid 150, in the store 250
incremental, fourth night, the vendor is down: ConnectionError; paid 0, in the store 100
EXPECTED
