#!/usr/bin/env bash
# create_table of lancedb gives the vector column the type uint8 if the first rows have whole numbers from 0 to 255 in
# it, such as [0, 0, 0, …] in a first row for the schema. add then cuts each later vector to bytes: numbers below 1
# become 0, also the negative ones, and a unit vector is all zeros. No error; count_rows is right; search finds the rows
# in the order of insertion, at distance 0. With a -1, a 256 or a 0.0 among the first numbers the column is float32.
# Hurts: who makes the table with a row of zeros, a one-hot example or vectors of an int8 test and adds the paid vectors
# nightly: nothing of them is in the table, and to_arrow gives nothing back. merge_insert refuses the same rows.
# Versions: lancedb 0.40.0, pylance 14.0.2, pyarrow 26.0.1, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: a vector is float32, as with 0.0, or an error at the first number that does not fit, as in merge_insert.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lancedb==0.40.0 pylance==14.0.2 pyarrow==26.0.1 numpy==2.4.6

seen=$("$folder/venv/bin/python" -W ignore - "$folder" 2>"$folder/log" <<'PYTHON'
import sys

import lancedb
import numpy as np

vectors = np.random.default_rng(0).normal(size=(100, 8)).astype("float32")
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
rows = [{"id": number, "vector": vector.tolist()} for number, vector in enumerate(vectors)]
store = lancedb.connect(sys.argv[1] + "/store")
for name, first in (
    ("zeros", [0] * 8),
    ("one-hot", [1] + [0] * 7),
    ("zeros of numpy's int64", np.zeros(8, "int64")),
    ("0.0", [0.0] * 8),
    ("-1", [-1] + [0] * 7),
    ("256", [256] + [0] * 7),
):
    table = store.create_table("t", [{"id": -1, "vector": first}], mode="overwrite")
    table.add(rows)
    back = np.array(table.to_arrow()["vector"].to_pylist()[1:])
    found = [row["id"] for row in table.search(vectors[70]).limit(3).to_list()]
    kept = int((np.abs(back - vectors).max(axis=1) < 1e-6).sum())
    print(
        f"first {name}: {table.schema.field('vector').type.value_type}, rows {table.count_rows()}, "
        f"kept {kept} of 100, not zero {int(back.any(axis=1).sum())}, near row 70: {found}"
    )
table = store.create_table("t", [{"id": 0, "vector": [0] * 8}], mode="overwrite")
try:
    table.merge_insert("id").when_matched_update_all().execute(rows[:1])
    print("merge_insert took it")
except Exception as error:
    print(f"merge_insert: refused, {'truncated' in str(error)}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
first zeros: uint8, rows 101, kept 0 of 100, not zero 0, near row 70: [-1, 0, 1]
first one-hot: uint8, rows 101, kept 0 of 100, not zero 0, near row 70: [0, 1, 2]
first zeros of numpy's int64: uint8, rows 101, kept 0 of 100, not zero 0, near row 70: [-1, 0, 1]
first 0.0: float, rows 101, kept 100 of 100, not zero 100, near row 70: [70, 75, 77]
first -1: float, rows 101, kept 100 of 100, not zero 100, near row 70: [70, 75, 77]
first 256: float, rows 101, kept 100 of 100, not zero 100, near row 70: [70, 75, 77]
merge_insert: refused, True
EXPECTED
