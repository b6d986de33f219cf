#!/usr/bin/env bash
# SqlToS3Operator of Airflow's amazon provider with groupby_kwargs={"by": "language"} writes a file a language, and rows
# whose language is NULL into none: pandas leaves them out of its groups. The same operator with df_type="polars" writes
# them, under the name without a suffix. That is also the name of the first part with max_rows_per_file, as its number
# is 0: rows.csv, rows_1.csv, so that "rows_*.csv" is all parts but the first.
# Hurts: who lays a table out for a batch job by language, tenant or day: rows without one are never embedded, the task
# is green, and a changed df_type changes which rows there are. With pandas 3 "dropna": False
# in groupby_kwargs keeps them (rows_nan.csv).
# Versions: apache-airflow 3.3.2, providers amazon 9.39.0, common-sql 2.4.0 and sqlite 4.3.4, pandas 3.1.1,
# polars 2.1.0, Python 3.11. Seen on 2026-11-29.
# Guess: each row is in one of the files, and the parts of a table have one pattern.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-amazon==9.39.0 \
  apache-airflow-providers-common-sql==2.4.0 apache-airflow-providers-sqlite==4.3.4 pandas==3.1.1 polars==2.1.0

export AIRFLOW_HOME="$folder" AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export AIRFLOW_CONN_SQLITE_DEFAULT='{"conn_type": "sqlite", "host": "'"$folder"'/corpus.db"}'
seen=$("$folder/venv/bin/python" -W ignore - "$folder" 2>"$folder/log" <<'PYTHON'
import sqlite3
import sys

from airflow.providers.amazon.aws.transfers import sql_to_s3

with sqlite3.connect(f"{sys.argv[1]}/corpus.db") as database:
    database.execute("create table texts (id text, language text)")
    rows = [("1", "de"), ("2", None), ("3", "en"), ("4", None), ("5", "en")]
    database.executemany("insert into texts values (?, ?)", rows)


class Bucket:
    """What S3Hook would have written."""

    files: dict = {}

    def __init__(self, **_):
        pass

    def load_file_obj(self, file_obj, key, **_):
        Bucket.files[key] = [line.split(",")[0] for line in file_obj.read().decode().splitlines()]


sql_to_s3.S3Hook = Bucket
for name, options in {
    "whole": {},
    "by language": {"groupby_kwargs": {"by": "language"}},
    "by language, dropna=False": {"groupby_kwargs": {"by": "language", "dropna": False}},
    "by language, polars": {"groupby_kwargs": {"by": "language"}, "df_type": "polars"},
    "two rows a file": {"max_rows_per_file": 2},
}.items():
    Bucket.files = {}
    header = {"df_kwargs": {"include_header": False} if "polars" in name else {"header": False, "index": False}}
    sql_to_s3.SqlToS3Operator(
        task_id="out", query="select * from texts", s3_bucket="corpus", s3_key="rows.csv",
        sql_conn_id="sqlite_default", file_format="csv", **header, **options,
    ).execute({})
    print(f"{name}: {sum(map(len, Bucket.files.values()))} of 5 rows, {dict(sorted(Bucket.files.items()))}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
whole: 5 of 5 rows, {'rows.csv': ['1', '2', '3', '4', '5']}
by language: 3 of 5 rows, {'rows_de.csv': ['1'], 'rows_en.csv': ['3', '5']}
by language, dropna=False: 5 of 5 rows, {'rows_de.csv': ['1'], 'rows_en.csv': ['3', '5'], 'rows_nan.csv': ['2', '4']}
by language, polars: 5 of 5 rows, {'rows.csv': ['2', '4'], 'rows_de.csv': ['1'], 'rows_en.csv': ['3', '5']}
two rows a file: 5 of 5 rows, {'rows.csv': ['1', '2'], 'rows_1.csv': ['3', '4'], 'rows_2.csv': ['5']}
EXPECTED
