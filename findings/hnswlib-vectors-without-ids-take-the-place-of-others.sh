#!/usr/bin/env bash
# add_items of hnswlib without ids numbers the vectors on from the count of the index, whether these ids are in use or
# not. Where the vectors before were added with ids that begin at 1, the last of them is replaced; at 500 of 500, all.
# No error, no word: the older vectors are gone. voyager, made from hnswlib, begins at 0 as long as no ids were left
# out, and so replaces all vectors even where the given ids were 0, 1, 2, …; the ids that it returns are the used ones.
# usearch and faiss refuse.
# Hurts: who adds a first part with the ids of the rows and a later part without (a tail, a second writer): paid
# vectors are lost, and a search answers with a row's id for another row's text.
# Versions: hnswlib 0.8.0, voyager 2.2.3, usearch 2.26.6, faiss-cpu 1.15.1, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: ids that are free, or an error; an update of a vector has to name its id.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet hnswlib==0.8.0 voyager==2.2.3 usearch==2.26.6 faiss-cpu==1.15.1 numpy==2.4.6

seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import faiss
import hnswlib
import numpy as np
import usearch.index
import voyager

vectors = np.random.default_rng(0).normal(size=(1000, 16)).astype("float32")
first, second = vectors[:500], vectors[500:]


def in_hnswlib(ids):
    index = hnswlib.Index("l2", 16)
    index.init_index(2000)
    index.add_items(first, ids)
    index.add_items(second)
    return index.get_current_count(), np.array(index.get_items(index.get_ids_list()))


def in_voyager(ids):
    index = voyager.Index(voyager.Space.Euclidean, 16)
    index.add_items(first, ids=ids)
    index.add_items(second)
    return len(index), index.get_vectors(list(index.ids))


def in_usearch(ids):
    index = usearch.index.Index(ndim=16, metric="l2sq", dtype="f32")
    index.add(np.array(ids), first)
    index.add(None, second)
    return len(index), index.vectors


def in_faiss(ids):
    index = faiss.IndexIDMap2(faiss.IndexFlatL2(16))
    index.add_with_ids(first, np.array(ids))
    index.add(second)
    return index.ntotal, index.index.reconstruct_n()


for name, put in (("hnswlib", in_hnswlib), ("voyager", in_voyager), ("usearch", in_usearch), ("faiss", in_faiss)):
    for begin in (0, 1, 250, 500, 5000):
        try:
            count, stored = put(list(range(begin, begin + 500)))
        except Exception as error:
            print(f"{name}, ids from {begin}: {type(error).__name__}")
            continue
        kept = {vector.tobytes() for vector in np.asarray(stored, "float32")}
        there = [sum(vector.tobytes() in kept for vector in part) for part in (first, second)]
        print(f"{name}, ids from {begin}: count {count}, of the first part {there[0]}, of the second {there[1]}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
hnswlib, ids from 0: count 1000, of the first part 500, of the second 500
hnswlib, ids from 1: count 999, of the first part 499, of the second 500
hnswlib, ids from 250: count 750, of the first part 250, of the second 500
hnswlib, ids from 500: count 500, of the first part 0, of the second 500
hnswlib, ids from 5000: count 1000, of the first part 500, of the second 500
voyager, ids from 0: count 500, of the first part 0, of the second 500
voyager, ids from 1: count 501, of the first part 1, of the second 500
voyager, ids from 250: count 750, of the first part 250, of the second 500
voyager, ids from 500: count 1000, of the first part 500, of the second 500
voyager, ids from 5000: count 1000, of the first part 500, of the second 500
usearch, ids from 0: count 1000, of the first part 500, of the second 500
usearch, ids from 1: RuntimeError
usearch, ids from 250: RuntimeError
usearch, ids from 500: RuntimeError
usearch, ids from 5000: count 1000, of the first part 500, of the second 500
faiss, ids from 0: RuntimeError
faiss, ids from 1: RuntimeError
faiss, ids from 250: RuntimeError
faiss, ids from 500: RuntimeError
faiss, ids from 5000: RuntimeError
EXPECTED
