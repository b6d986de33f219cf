#!/usr/bin/env bash
# DuckDB's read_csv takes the quote from a sample of the first file: where the first 20,480 rows have none, there is
# none, and a text that csv.writer quoted later for the sign in it comes as it lies in the file: 5" disk is read as
# "5"" disk", with the marks. header and delim that are given, columns, or COPY change nothing. Of several files the
# first alone is looked at, so two files of two rows do it, and the order of the names decides which texts one gets.
# Late texts with a comma or a line end are errors, so all seems well once these are cured by ignore_errors.
# Also: lines whose id begins with # are taken for comments and left out, as soon as one is in the sample of numbers.
# Hurts: who embeds texts of a CSV: other texts are embedded (and their hash is that of no text), rows are absent.
# quote='"' and comment='' cure both, sample_size=-1 the first in one file.
# Versions: duckdb 2.0.1, polars 2.1.0, pandas 3.1.1, Python 3.11. Seen on 2026-11-28.
# Guess: the quote is " where none is seen, as documented for `quote`; polars and pandas read all of it right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 polars==2.1.0 pandas==3.1.1

seen=$("$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import csv
import sys

import duckdb
import pandas
import polars

folder = sys.argv[1]


def write(name, rows):
    path = f"{folder}/{name}.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "text"))
        writer.writerows(rows)
    return path


def texts(source, options=""):
    return [row[0] for row in duckdb.sql(f"select text from read_csv({source!r}{options})").fetchall()]


long = write("long", [(number, f"row {number}") for number in range(25_000)] + [(25_000, '5" disk')])
print("polars:", polars.read_csv(long)["text"][-1])
print("pandas:", pandas.read_csv(long)["text"].iloc[-1])
print("duckdb:", texts(long)[-1])
print("duckdb, header and delim given:", texts(long, ", header=true, delim=','")[-1])
duckdb.sql("create table loaded (id integer, text text)")
duckdb.sql(f"copy loaded from '{long}' (header)")
print("duckdb, COPY:", duckdb.sql("select text from loaded where id = 25000").fetchall()[0][0])
print("duckdb, quote given:", texts(long, ", quote='\"'")[-1])
first, second = write("first", [(1, "a"), (2, "b")]), write("second", [(3, '5" disk'), (4, 'say "hi"')])
print("two files:", texts([first, second]))
print("the same, other order:", texts([second, first]))
marked = write("marked", [(f"#{n}" if n == 500 else n, f"row {n}") for n in range(1000)])
others = polars.read_csv(marked, infer_schema=False)
print("1000 rows, one id with #: duckdb", len(texts(marked)), "polars", len(others))
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
polars: 5" disk
pandas: 5" disk
duckdb: "5"" disk"
duckdb, header and delim given: "5"" disk"
duckdb, COPY: "5"" disk"
duckdb, quote given: 5" disk
two files: ['a', 'b', '"5"" disk"', '"say ""hi"""']
the same, other order: ['5" disk', 'say "hi"', 'a', 'b']
1000 rows, one id with #: duckdb 999 polars 1000
EXPECTED
