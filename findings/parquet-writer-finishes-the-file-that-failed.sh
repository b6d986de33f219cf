#!/usr/bin/env bash
# pyarrow's ParquetWriter in a `with` statement writes the footer also where an exception ends it: the file is a whole
# one with the rows so far, under its final name, and every reader takes it. So do the writers of Arrow files (IPC) and
# of ORC. DuckDB's COPY and polars' sink leave no file, or one that is an error to read.
# Hurts: who streams answers of a vendor into a Parquet file and counts on "a file without a footer can't be read": the
# task fails at row 600 of 1000, and a reader that looks for the file, or a retry that skips what is there, has 600 rows
# without an error. Write under another name and rename.
# Versions: pyarrow 26.0.1, duckdb 2.0.1, polars 2.1.0, Python 3.11. Seen on 2026-11-28.
# Guess: no footer after an exception, as Parquet has it for a file whose writer ended early.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0

seen=$("$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import sys

import duckdb
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.ipc
import pyarrow.orc
import pyarrow.parquet

folder = sys.argv[1]
schema = pyarrow.schema([("id", pyarrow.int64())])


def answers():
    """1000 rows, of which the vendor gives 600."""
    for start in range(0, 600, 200):
        yield pyarrow.table({"id": range(start, start + 200)}, schema=schema)
    raise ConnectionError("vendor")


def batches():
    return pyarrow.RecordBatchReader.from_batches(schema, (batch for part in answers() for batch in part.to_batches()))


def stream(writer, write):
    with writer as out:
        for part in answers():
            getattr(out, write)(part)


def copy(path):
    source = batches()
    duckdb.sql(f"copy (from source) to '{path}'")


def refuse(number):
    if number == 600:
        raise ConnectionError("vendor")
    return number


def sink(path):
    rows = polars.LazyFrame({"id": range(1000)})
    rows.select(polars.col("id").map_elements(refuse, return_dtype=polars.Int64)).sink_parquet(path)


ways = {
    "ParquetWriter": ("a.parquet", lambda path: stream(pyarrow.parquet.ParquetWriter(path, schema), "write_table")),
    "IPC file": ("a.arrow", lambda path: stream(pyarrow.ipc.new_file(path, schema), "write_table")),
    "ORCWriter": ("a.orc", lambda path: stream(pyarrow.orc.ORCWriter(path), "write")),
    "DuckDB COPY": ("b.parquet", copy),
    "polars sink": ("c.parquet", sink),
}
formats = {"arrow": "ipc", "orc": "orc"}
for name, (file, write) in ways.items():
    path = f"{folder}/{file}"
    try:
        write(path)
        raised = "no error"
    except Exception:
        raised = "an exception"
    try:
        rows = pyarrow.dataset.dataset(path, format=formats.get(file.split(".")[-1], "parquet")).count_rows()
    except Exception:
        rows = "none, an error"
    print(f"{name}: {raised} in writing, rows read afterwards: {rows}")
((counted,),) = duckdb.sql(f"select count(*) from '{folder}/a.parquet'").fetchall()
print("the Parquet file in DuckDB and polars:", counted, polars.read_parquet(f"{folder}/a.parquet").height)
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
ParquetWriter: an exception in writing, rows read afterwards: 600
IPC file: an exception in writing, rows read afterwards: 600
ORCWriter: an exception in writing, rows read afterwards: 600
DuckDB COPY: an exception in writing, rows read afterwards: none, an error
polars sink: an exception in writing, rows read afterwards: none, an error
the Parquet file in DuckDB and polars: 600 600
EXPECTED
