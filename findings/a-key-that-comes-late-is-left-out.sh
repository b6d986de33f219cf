#!/usr/bin/env bash
# A key that the first rows do not have is no column, and no error: polars (read_ndjson, scan_ndjson, from_dicts) looks
# at 100 rows, DuckDB's read_json at 20,480. Over Parquet files DuckDB, pyarrow and pandas take the columns of the first
# file. pandas and pyarrow have all keys of JSON lines, and polars refuses the Parquet files.
# Hurts: who judges a night by "error" in its lines, or reads shards of which a later one has a column more: no row
# seems to have failed, and those that did are rows with a null.
# infer_schema_length=None, sample_size=-1 and union_by_name=true read all.
# Versions: polars 2.1.0, duckdb 2.0.1, pyarrow 26.0.1, pandas 3.1.1, Python 3.11. Seen on 2026-11-28.
# Guess: a column with nulls before, or an error for the key, as polars has it for Parquet.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 pandas==3.1.1

seen=$("$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import json
import pathlib
import sys

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.json
import pyarrow.parquet

folder = pathlib.Path(sys.argv[1])
rows = [{"id": f"row {number}"} for number in range(21_000)] + [{"id": "last", "error": "too long"}]
lines = folder / "rows.jsonl"
lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
parts = folder / "parts"
parts.mkdir()
pyarrow.parquet.write_table(pyarrow.table({"id": ["a"]}), parts / "0.parquet")
pyarrow.parquet.write_table(pyarrow.table({"id": ["b"], "error": ["too long"]}), parts / "1.parquet")
ways = {
    "JSON lines, polars.read_ndjson": lambda: polars.read_ndjson(lines).columns,
    "JSON lines, polars.scan_ndjson": lambda: polars.scan_ndjson(lines).collect().columns,
    "dicts, polars.from_dicts": lambda: polars.from_dicts(rows).columns,
    "JSON lines, DuckDB": lambda: duckdb.sql(f"select * from read_json('{lines}')").columns,
    "JSON lines, pyarrow": lambda: pyarrow.json.read_json(lines).column_names,
    "JSON lines, pandas": lambda: list(pandas.read_json(lines, lines=True).columns),
    "Parquet, DuckDB": lambda: duckdb.sql(f"select * from '{parts}/*.parquet'").columns,
    "Parquet, pyarrow": lambda: pyarrow.dataset.dataset(parts).to_table().column_names,
    "Parquet, pandas": lambda: list(pandas.read_parquet(parts).columns),
    "Parquet, polars": lambda: polars.read_parquet(f"{parts}/*.parquet").columns,
}
for name, columns in ways.items():
    try:
        said = columns()
    except Exception as error:
        said = type(error).__name__
    print(f"{name}: {said}")
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
JSON lines, polars.read_ndjson: ['id']
JSON lines, polars.scan_ndjson: ['id']
dicts, polars.from_dicts: ['id']
JSON lines, DuckDB: ['id']
JSON lines, pyarrow: ['id', 'error']
JSON lines, pandas: ['id', 'error']
Parquet, DuckDB: ['id']
Parquet, pyarrow: ['id']
Parquet, pandas: ['id']
Parquet, polars: SchemaError
EXPECTED
