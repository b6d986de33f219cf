#!/usr/bin/env bash
# Dataset.to_csv of Hugging Face's datasets writes a list as numpy prints an array: more than 1000 numbers become
# "[0.1 0.2 0.3 ... 0.7 0.8 0.9]", and of shorter vectors eight digits are left, without commas. No error, no warning.
# to_json rounds to ten places after the point: of a vector of small numbers zeros are left. to_parquet keeps all.
# Hurts: who hands vectors on as CSV: 1024, 1536 or 3072 numbers are six and three dots, and were paid for; the file has
# all rows and a plausible column.
# Versions: datasets 5.2.0, pandas 3.1.1, numpy 2.4.6, duckdb 2.0.1, polars 2.1.0, Python 3.11. Seen on 2026-11-28.
# Guess: all numbers, as DuckDB writes such a column, or an error, as polars has it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pandas==3.1.1 numpy==2.4.6 duckdb==2.0.1 polars==2.1.0

export HF_HUB_OFFLINE=1 HF_HOME="$folder/home"
seen=$("$folder/venv/bin/python" -W ignore - "$folder" 2>"$folder/log" <<'PYTHON'
import csv
import json
import sys

import datasets
import duckdb
import polars

datasets.disable_progress_bars()
csv.field_size_limit(10**7)
folder = sys.argv[1]
for length in (384, 1024):
    vector = [(number + 1) / 7 / length for number in range(length)]
    made = datasets.Dataset.from_dict({"id": ["a"], "v": [vector]})
    made.to_csv(f"{folder}/v.csv")
    with open(f"{folder}/v.csv", newline="") as file:
        cell = next(csv.DictReader(file))["v"]
    numbers = [float(word) for word in cell.strip("[]").split() if word != "..."]
    print(f"to_csv of {length} numbers: {len(numbers)} are there, dots {'...' in cell}, equal {numbers == vector}")
    made.to_parquet(f"{folder}/v.parquet")
    duckdb.sql(f"copy (from '{folder}/v.parquet') to '{folder}/d.csv'")
    with open(f"{folder}/d.csv", newline="") as file:
        print(f"DuckDB's CSV of it: equal {json.loads(next(csv.DictReader(file))['v']) == vector}")
try:
    polars.read_parquet(f"{folder}/v.parquet").write_csv(f"{folder}/p.csv")
except Exception as error:
    print("polars' CSV of it:", type(error).__name__)
small = [1e-12, 2.5e-11, 1.23456789e-5]
datasets.Dataset.from_dict({"v": [small]}).to_json(f"{folder}/v.jsonl")
with open(f"{folder}/v.jsonl") as file:
    print(f"to_json of {small}: {file.read().strip()}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
to_csv of 384 numbers: 384 are there, dots False, equal False
DuckDB's CSV of it: equal True
to_csv of 1024 numbers: 6 are there, dots True, equal False
DuckDB's CSV of it: equal True
polars' CSV of it: ComputeError
to_json of [1e-12, 2.5e-11, 1.23456789e-05]: {"v":[0.0,0.0,0.0000123457]}
EXPECTED
