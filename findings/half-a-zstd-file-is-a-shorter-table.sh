#!/usr/bin/env bash
# A .csv.zst of which only the first part arrived (a copy that broke off) is read by pandas and by DuckDB as a shorter
# table, with the last text cut in the middle, and no error. The same file as .gz is an error in both, and polars and
# pyarrow refuse it in either form.
# Hurts: who moves a corpus or a table of results as zstd, for its speed: rows are missing from the night, and the last
# one has an embedding of half its text. Count rows, or read with polars.
# Versions: pandas 3.1.1 with zstandard 0.25.0, duckdb 2.0.1, polars 2.1.0, pyarrow 26.0.1, Python 3.11.
# Seen on 2026-11-28. Guess: an error such as EOFError for data that ends inside a zstd frame.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==3.1.1 zstandard==0.25.0 duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1

seen=$("$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import gzip
import hashlib
import pathlib
import sys

import duckdb
import pandas
import polars
import pyarrow.csv
import zstandard

ROWS = 200_000
texts = [hashlib.sha256(str(number).encode()).hexdigest()[:40] for number in range(ROWS)]
table = ("id,text\n" + "".join(f"{number},{text}\n" for number, text in enumerate(texts))).encode()
readers = {
    "pandas": lambda path: len(pandas.read_csv(path)),
    "duckdb": lambda path: duckdb.sql(f"select count(*) from read_csv('{path}')").fetchall()[0][0],
    "polars": lambda path: len(polars.read_csv(path)),
    "pyarrow": lambda path: len(pyarrow.csv.read_csv(path)),
}
for suffix, packed in (("zst", zstandard.ZstdCompressor().compress(table)), ("gz", gzip.compress(table, mtime=0))):
    path = pathlib.Path(sys.argv[1], f"rows.csv.{suffix}")
    path.write_bytes(packed[: len(packed) // 2])
    for name, read in readers.items():
        try:
            rows = read(str(path))
            said = "all rows" if rows == ROWS else "some rows, no error"
        except Exception as error:
            said = f"{type(error).__name__}"
        print(f"half a .{suffix}, {name}: {said}")
last = pandas.read_csv(pathlib.Path(sys.argv[1], "rows.csv.zst"), dtype=str).iloc[-1]
print("its last row in pandas is whole:", last["text"] == texts[int(last["id"])])
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
half a .zst, pandas: some rows, no error
half a .zst, duckdb: some rows, no error
half a .zst, polars: OSError
half a .zst, pyarrow: OSError
half a .gz, pandas: EOFError
half a .gz, duckdb: IOException
half a .gz, polars: OSError
half a .gz, pyarrow: OSError
its last row in pandas is whole: False
EXPECTED
