#!/usr/bin/env bash
# write_parquet of datafusion, run a second time over the same path, replaces the file of the first run where the last
# part of the path has a dot, and adds to it where it has none: "v1.5" is a file, "2026-11-29" a folder, into which each
# run puts files under names of its own. A reader of the folder has both runs' rows. No error, no warning, and nothing
# of it in the help; InsertOp.OVERWRITE, one of the options, is not implemented. write_json, write_csv and COPY in SQL
# do the same. pyarrow's write_dataset refuses a folder that has files.
# Hurts: who writes the rows to embed, or the night's results, from a task that is retried or cleared: each row is there
# twice, paid for twice if embedded, and beside a changed row lies its old state; a run that has no rows leaves last
# night's. single_file_output=True, a name with a dot, or a folder that is removed before, cures it.
# Versions: datafusion 55.0.0, pyarrow 25.0.1, Python 3.11. Seen on 2026-11-29.
# Guess: the second run replaces the first, as with a name that ends in .parquet, or an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datafusion==55.0.0 pyarrow==25.0.1

seen=$(cd "$folder" && venv/bin/python -W ignore - 2>"$folder/log" <<'PYTHON'
import os
import re

import pyarrow.dataset
import pyarrow.parquet
from datafusion import DataFrame, DataFrameWriteOptions, InsertOp, SessionContext, col

session = SessionContext()
first = session.from_pydict({"id": [1, 2, 3], "text": ["a", "b", "c"]})
second = session.from_pydict({"id": [1, 2], "text": ["a", "B"]})
none = first.filter(col("id") > 3)


def show(name, call):
    try:
        print(f"{name}: {call()}")
    except Exception as error:
        words = str(error).removeprefix("DataFusion error: ").split(" for ")[0].split(" and existing")[0]
        print(f"{name}: {type(error).__name__}: {words}")


def read(path):
    kind = "folder" if os.path.isdir(path) else "file"
    rows = pyarrow.parquet.read_table(path).sort_by([("id", "ascending"), ("text", "ascending")]).to_pylist()
    shown = " ".join(f"{row['id']}{row['text']}" for row in rows)
    return f"a {kind}, {len(rows)} rows {shown}" if rows else f"a {kind}, no rows"


def twice(path, then, **options):
    first.write_parquet(path, **options)
    then.write_parquet(path, **options)
    return read(path)


os.mkdir("twice")
for name in ("night.parquet", "v1.5", "2026-11-29", "night", "night/"):
    show(name, lambda: twice(f"twice/{name}".replace("night/", "slash/"), second))
os.mkdir("none")
for name in ("night.parquet", "2026-11-29"):
    show(f"{name}, no rows the second time", lambda: twice(f"none/{name}", none))
show("night, single_file_output", lambda: twice("single", second, write_options=DataFrameWriteOptions(single_file_output=True)))
overwrite = DataFrameWriteOptions(insert_operation=InsertOp.OVERWRITE)
show("night, InsertOp.OVERWRITE", lambda: twice("overwrite", second, write_options=overwrite))


def twice_in_sql(path):
    for rows in ("VALUES (1, 'a'), (2, 'b'), (3, 'c')", "VALUES (1, 'a'), (2, 'B')"):
        session.sql(f"COPY (SELECT column1 AS id, column2 AS text FROM ({rows})) TO '{path}' STORED AS PARQUET").collect()
    return read(path)


def lines(write):
    write(first)
    write(second)
    return sum(len(open(f"{kind}/{name}").read().split()) for kind in ("json", "csv") for name in os.listdir(kind))


show("night, COPY in SQL", lambda: twice_in_sql("copy"))
show("night, write_json and write_csv, lines in all", lambda: lines(lambda rows: (rows.write_json("json"), rows.write_csv("csv"))))


def twice_pyarrow(path):
    for rows in (first, second):
        pyarrow.dataset.write_dataset(rows.to_arrow_table(), path, format="parquet")
    return read(path)


show("night, pyarrow's write_dataset", lambda: twice_pyarrow("pyarrow"))
words = " ".join(str(thing.__doc__) for thing in (DataFrame.write_parquet, DataFrameWriteOptions, DataFrameWriteOptions.__init__))
print("the help speaks of a folder, of what exists, of appending:", bool(re.search(r"folder|director|exist|append", words)))
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
night.parquet: a file, 2 rows 1a 2B
v1.5: a file, 2 rows 1a 2B
2026-11-29: a folder, 5 rows 1a 1a 2B 2b 3c
night: a folder, 5 rows 1a 1a 2B 2b 3c
night/: a folder, 5 rows 1a 1a 2B 2b 3c
night.parquet, no rows the second time: a file, no rows
2026-11-29, no rows the second time: a folder, 3 rows 1a 2b 3c
night, single_file_output: a file, 2 rows 1a 2B
night, InsertOp.OVERWRITE: Exception: This feature is not implemented: Insert Overwrite is not implemented
night, COPY in SQL: a folder, 5 rows 1a 1a 2B 2b 3c
night, write_json and write_csv, lines in all: 10
night, pyarrow's write_dataset: ArrowInvalid: Could not write to pyarrow as the directory is not empty
the help speaks of a folder, of what exists, of appending: False
EXPECTED
