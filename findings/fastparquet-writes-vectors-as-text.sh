#!/usr/bin/env bash
# fastparquet writes a column of lists as JSON text, and reads float16 as raw bytes. With
# `DataFrame.to_parquet(engine="fastparquet")` vectors land as "[1.0,2.0]"; only fastparquet itself turns them back.
# Halves that pyarrow wrote come back as b"\x00<". Neither says a word.
# Hurts: who writes a table of vectors for others, or reads one in float16, which saves half the room: DuckDB and polars
# read texts and bytes, and a loader of vectors refuses the night.
# Versions: fastparquet 2026.9.0, pandas 2.2.3, pyarrow 26.0.1, duckdb 2.0.1, polars 2.1.0, Python 3.11.
# Seen on 2026-11-28. Guess: a list of doubles and a column of halves, or an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet fastparquet==2026.9.0 pandas==2.2.3 pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0

seen=$("$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import sys

import duckdb
import fastparquet
import numpy
import pandas
import polars
import pyarrow
import pyarrow.parquet

path = f"{sys.argv[1]}/vectors.parquet"
pandas.DataFrame({"id": ["a", "b"], "v": [[1.0, 2.0], [3.0, 4.0]]}).to_parquet(path, engine="fastparquet")
print("fastparquet reads its own:", pandas.read_parquet(path, engine="fastparquet")["v"].tolist())
print("pyarrow:", pandas.read_parquet(path, engine="pyarrow")["v"].tolist())
print("duckdb:", duckdb.sql(f"select typeof(v), v from '{path}'").fetchall())
print("polars:", polars.read_parquet(path)["v"].to_list())

halves = pyarrow.array(numpy.array([1.0, 2.5], dtype=numpy.float16))
pyarrow.parquet.write_table(pyarrow.table({"id": ["a", "b"], "score": halves}), path)
print("halves, pyarrow:", pandas.read_parquet(path, engine="pyarrow")["score"].tolist())
print("halves, duckdb:", [row[0] for row in duckdb.sql(f"select score from '{path}'").fetchall()])
print("halves, fastparquet:", fastparquet.ParquetFile(path).to_pandas()["score"].tolist())
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
fastparquet reads its own: [[1.0, 2.0], [3.0, 4.0]]
pyarrow: ['[1.0,2.0]', '[3.0,4.0]']
duckdb: [('JSON', '[1.0,2.0]'), ('JSON', '[3.0,4.0]')]
polars: [b'[1.0,2.0]', b'[3.0,4.0]']
halves, pyarrow: [1.0, 2.5]
halves, duckdb: [1.0, 2.5]
halves, fastparquet: [b'\x00<', b'\x00A']
EXPECTED
