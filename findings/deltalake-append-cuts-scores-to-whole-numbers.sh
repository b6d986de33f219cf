#!/usr/bin/env bash
# write_deltalake(mode="append") of deltalake casts what comes to the types of the table: 0.87 becomes 0 in a column
# that the first night made of whole numbers, without an error, also inside a list, with schema_mode="merge", in a
# merge() and through polars' write_delta. NaN is refused, the text "007" becomes 7. Table.add of lancedb cuts numbers
# in the same way; lance itself, below it, refuses to append another type.
# Hurts: who appends each night's answers to a Delta table: JSON may have 1 and 0 for scores of 1.0 and 0.0, a first
# night with such scores alone makes an int64 column, and of every later night only zeros are left; a table that was
# made of whole-number vectors makes zeros of the floats after them. The numbers were paid for and are in no file.
# Versions: deltalake 1.6.6, lancedb 0.40.0, pylance 14.0.2, pyarrow 26.0.1, polars 2.1.0, Python 3.11.
# Seen on 2026-11-29. Guess: an error, or a wider column.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet deltalake==1.6.6 lancedb==0.40.0 pylance==14.0.2 pyarrow==26.0.1 polars==2.1.0

seen=$(cd "$folder" && venv/bin/python -W ignore - 2>"$folder/log" <<'PYTHON'
import deltalake
import lance
import lancedb
import polars
import pyarrow


def append(path, table):
    deltalake.write_deltalake(path, table, mode="append")


def evolve(path, table):
    deltalake.write_deltalake(path, table, mode="append", schema_mode="merge")


def through_polars(path, table):
    polars.from_arrow(table).write_delta(path, mode="append")


def merge(path, table):
    target = deltalake.DeltaTable(path)
    target.merge(table, "false", source_alias="s", target_alias="t").when_not_matched_insert_all().execute()


def lancedb_add(path, table):
    lancedb.connect("tables").open_table(path).add(table)


def lance_append(path, table):
    lance.write_dataset(table, f"tables/{path}.lance", mode="append")


pairs = {
    "scores": ([1, 0], [0.87, -0.99]),
    "vectors": ([[127, -127]], [[0.87, -0.99]]),
    "texts for numbers": ([1, 2], ["007"]),
    "NaN": ([1, 0], [float("nan")]),
}
for what, (first, later) in pairs.items():
    for way in (append, evolve, through_polars, merge, lancedb_add, lance_append):
        path = f"{what}_{way.__name__}".replace(" ", "_")
        of_lance = "lance" in way.__name__
        before = pyarrow.table({"night": [1] * len(first), "value": first})
        after = pyarrow.table({"night": [2] * len(later), "value": later})
        if of_lance:
            lancedb.connect("tables").create_table(path, before)
        else:
            deltalake.write_deltalake(path, before)
        try:
            way(path, after)
            if of_lance:
                table = lance.dataset(f"tables/{path}.lance").to_table()
            else:
                table = deltalake.DeltaTable(path).to_pyarrow_table()
            said = [row["value"] for row in table.to_pylist() if row["night"] == 2]
        except Exception as error:
            said = f"refused ({type(error).__name__})"
        print(f"{what}, {way.__name__}: {later} is {said}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
scores, append: [0.87, -0.99] is [0, 0]
scores, evolve: [0.87, -0.99] is [0, 0]
scores, through_polars: [0.87, -0.99] is [0, 0]
scores, merge: [0.87, -0.99] is [0, 0]
scores, lancedb_add: [0.87, -0.99] is [0, 0]
scores, lance_append: [0.87, -0.99] is refused (OSError)
vectors, append: [[0.87, -0.99]] is [[0, 0]]
vectors, evolve: [[0.87, -0.99]] is [[0, 0]]
vectors, through_polars: [[0.87, -0.99]] is [[0, 0]]
vectors, merge: [[0.87, -0.99]] is [[0, 0]]
vectors, lancedb_add: [[0.87, -0.99]] is [[0, 0]]
vectors, lance_append: [[0.87, -0.99]] is refused (OSError)
texts for numbers, append: ['007'] is [7]
texts for numbers, evolve: ['007'] is [7]
texts for numbers, through_polars: ['007'] is [7]
texts for numbers, merge: ['007'] is [7]
texts for numbers, lancedb_add: ['007'] is [7]
texts for numbers, lance_append: ['007'] is refused (OSError)
NaN, append: [nan] is refused (Exception)
NaN, evolve: [nan] is refused (Exception)
NaN, through_polars: [nan] is refused (Exception)
NaN, merge: [nan] is refused (Exception)
NaN, lancedb_add: [nan] is refused (ValueError)
NaN, lance_append: [nan] is refused (OSError)
EXPECTED
