#!/usr/bin/env bash
# Table.append of PyTables takes the bytes of a structured array for rows of the table, whatever its columns are named
# and typed, as long as the sizes fit: an id becomes a score, float64 vectors become twice as many rows of float32
# noise. No error, no warning; the help promises a ValueError for what does not fit the table. modify_rows does the
# same. Columns need not be in another order by hand: a table made from a class or dict sorts its columns by name, so an
# array with the columns as the class has them is taken for others.
# Hurts: who keeps ids, scores and vectors in HDF5 and appends what numpy made: float64 is what numpy has by default.
# h5py matches the columns by name.
# Versions: tables 3.11.1, h5py 3.16.0, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: columns matched by name and float64 rounded to float32, as with a row at a time; or the ValueError.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tables==3.11.1 h5py==3.16.0 numpy==2.4.6

seen=$(cd "$folder" && venv/bin/python -W ignore - 2>"$folder/log" <<'PYTHON'
import h5py
import numpy as np
import tables

ids, scores = [7, 8], [0.25, 0.75]
vectors = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]
file = tables.open_file("pytables.h5", "w")
made = 0


class Text(tables.IsDescription):
    id = tables.Int64Col()
    vector = tables.Float32Col(shape=(4,))
    score = tables.Float64Col()


def array(*columns):
    rows = np.zeros(2, list(columns))
    for name, values in (("id", ids), ("score", scores), ("vector", vectors)):
        if name in rows.dtype.names:
            rows[name] = values
    return rows


def table(description):
    global made
    made += 1
    return file.create_table("/", f"t{made}", description)


def tell(name, stored):
    print(f"{name}: {len(stored)} rows for 2")
    for row in stored:
        said = []
        for column in ("id", "score", "vector"):
            if column in stored.dtype.names:
                said.append(column + "".join(f" {number:.4g}" for number in np.atleast_1d(row[column])))
        print("  " + ", ".join(said))


def append(name, description, rows):
    target = table(description)
    try:
        target.append(rows)
    except ValueError:
        print(f"{name}: ValueError")
        return
    tell(name, target[:])


id, score, vector, wide = ("id", "i8"), ("score", "f8"), ("vector", "f4", (4,)), ("vector", "f8", (4,))
append("same columns", np.dtype([id, score, vector]), array(id, score, vector))
append("another order", np.dtype([id, score, vector]), array(score, id, vector))
append("a class, in its order", Text, array(id, vector, score))
append("float64 for float32", np.dtype([vector]), array(wide))
append("float64 for float32, a plain array", np.dtype([vector]), np.array(vectors))
append("float32 for int32", np.dtype([id, ("vector", "i4", (4,))]), array(id, vector))
append("float64 for float32, with an id", np.dtype([id, vector]), array(id, wide))

target = table(np.dtype([id, score, vector]))
target.append(array(id, score, vector))
target.modify_rows(0, 2, 1, array(score, id, vector))
tell("modify_rows, another order", target[:])

target = table(Text)
for values in zip(ids, scores, vectors):
    target.row["id"], target.row["score"], target.row["vector"] = values
    target.row.append()
target.flush()
tell("a class, a row at a time", target[:])

with h5py.File("h5py.h5", "w") as other:
    dataset = other.create_dataset("t", (2,), np.dtype([id, score, vector]))
    dataset[:] = array(score, id, wide)
    tell("h5py, another order, float64 for float32", dataset[:])
file.close()
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
same columns: 2 rows for 2
  id 7, score 0.25, vector 0.1 0.2 0.3 0.4
  id 8, score 0.75, vector 0.5 0.6 0.7 0.8
another order: 2 rows for 2
  id 4.598e+18, score 3.458e-323, vector 0.1 0.2 0.3 0.4
  id 4.605e+18, score 3.953e-323, vector 0.5 0.6 0.7 0.8
a class, in its order: 2 rows for 2
  id 7, score 1.341e-08, vector 0.3 0.4 0 1.625
  id 8, score 9.766e-05, vector 0.7 0.8 0 1.812
float64 for float32: 4 rows for 2
  vector -1.588e-23 1.45 -1.588e-23 1.575
  vector 4.172e-08 1.65 -1.588e-23 1.7
  vector 0 1.75 4.172e-08 1.775
  vector 2.72e+23 1.8 -1.588e-23 1.825
float64 for float32, a plain array: 2 rows for 2
  vector -1.588e-23 1.45 -1.588e-23 1.575
  vector 4.172e-08 1.65 -1.588e-23 1.7
float32 for int32: 2 rows for 2
  id 7, vector 1.037e+09 1.045e+09 1.05e+09 1.054e+09
  id 8, vector 1.057e+09 1.059e+09 1.06e+09 1.062e+09
float64 for float32, with an id: ValueError
modify_rows, another order: 2 rows for 2
  id 4.598e+18, score 3.458e-323, vector 0.1 0.2 0.3 0.4
  id 4.605e+18, score 3.953e-323, vector 0.5 0.6 0.7 0.8
a class, a row at a time: 2 rows for 2
  id 7, score 0.25, vector 0.1 0.2 0.3 0.4
  id 8, score 0.75, vector 0.5 0.6 0.7 0.8
h5py, another order, float64 for float32: 2 rows for 2
  id 7, score 0.25, vector 0.1 0.2 0.3 0.4
  id 8, score 0.75, vector 0.5 0.6 0.7 0.8
EXPECTED
