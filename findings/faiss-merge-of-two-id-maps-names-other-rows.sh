#!/usr/bin/env bash
# merge_from of a faiss "IDMap,IVF…" or "IDMap2,IVF…" keeps both shards' ids and gives them to the wrong vectors: the
# IVF inside numbers the vectors of the second shard from 0 again, and the map reads these numbers as places of the
# first shard. Each vector of the second shard is found, at the right distance, under an id of the first. ntotal is
# right. IDMap over Flat or SQ is merged well.
# Hurts: who builds an index a shard (a mapped task, a night) with the ids of the rows and merges them into one: each
# neighbour out of the later shards is another row, without an error or a -1. An IVF keeps ids of its own
# (add_with_ids without IDMap), and merge_from(other, 0) of two such is right.
# Versions: faiss-cpu 1.15.1, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: each vector keeps the id that it was added with, or an error, as for HNSW.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet faiss-cpu==1.15.1 numpy==2.4.6

seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import faiss
import numpy as np

vectors = np.random.default_rng(0).normal(size=(1000, 16)).astype("float32")
ids = np.arange(1000) + 70000


def shards(kind):
    first = faiss.index_factory(16, kind)
    first.train(vectors)
    second = faiss.clone_index(first)
    first.add_with_ids(vectors[:500], ids[:500])
    second.add_with_ids(vectors[500:], ids[500:])
    return first, second


def found(index, rows):
    if hasattr(faiss.downcast_index(getattr(index, "index", index)), "nprobe"):
        faiss.extract_index_ivf(index).nprobe = 8
    distances, names = index.search(vectors[rows], 1)
    return names[:, 0].tolist(), f"distance {distances.max():.1f}"


for kind in ("IDMap,Flat", "IDMap,SQ8", "IDMap,IVF8,Flat", "IDMap2,IVF8,SQ8", "IVF8,Flat", "IDMap,HNSW16"):
    first, second = shards(kind)
    before = found(second, slice(500, 503))[0]
    try:
        first.merge_from(second, 0) if kind.startswith("IVF") else first.merge_from(second)
    except RuntimeError as error:
        print(f"{kind}: {type(error).__name__}")
        continue
    right = sum(name == wanted for name, wanted in zip(found(first, slice(0, 1000))[0], ids))
    after = found(first, slice(500, 503))[0]
    print(f"{kind}: before {before}, merged {after}, of {first.ntotal} right {right}")
print("IDMap,IVF8,Flat, the row 500:", end=" ")
first, second = shards("IDMap,IVF8,Flat")
first.merge_from(second)
print(*found(first, slice(500, 501)))
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
IDMap,Flat: before [70500, 70501, 70502], merged [70500, 70501, 70502], of 1000 right 1000
IDMap,SQ8: before [70500, 70501, 70502], merged [70500, 70501, 70502], of 1000 right 1000
IDMap,IVF8,Flat: before [70500, 70501, 70502], merged [70000, 70001, 70002], of 1000 right 500
IDMap2,IVF8,SQ8: before [70500, 70501, 70502], merged [70000, 70001, 70002], of 1000 right 500
IVF8,Flat: before [70500, 70501, 70502], merged [70500, 70501, 70502], of 1000 right 1000
IDMap,HNSW16: RuntimeError
IDMap,IVF8,Flat, the row 500: [70000] distance 0.0
EXPECTED
