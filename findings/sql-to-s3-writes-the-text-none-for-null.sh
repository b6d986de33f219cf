#!/usr/bin/env bash
# SqlToS3Operator of Airflow's amazon provider with file_format="parquet" turns columns of objects into text by str():
# with pandas 2 each NULL in a column of texts becomes the four letters "None", with pandas 3 it stays null. As JSON, or
# with df_type="polars", NULL is NULL. The provider takes either pandas (>=2.1.2).
# Hurts: who embeds a table's texts through Parquet: a row that has no text is paid for as "None", all such rows have
# the same vector and are each other's nearest neighbours, and a filter on null, or a count of absent texts, finds none.
# Versions: apache-airflow 3.3.2, providers amazon 9.39.0, common-sql 2.4.0 and sqlite 4.3.4, pandas 2.3.3 and 3.1.1,
# polars 2.1.0, pyarrow 26.0.1, Python 3.11. Seen on 2026-11-29.
# Guess: a null in the file, for any format and either pandas.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-amazon==9.39.0 \
  apache-airflow-providers-common-sql==2.4.0 apache-airflow-providers-sqlite==4.3.4 pandas==2.3.3 polars==2.1.0 \
  pyarrow==26.0.1
"$folder/venv/bin/pip" install --quiet --no-deps --target "$folder/newer" pandas==3.1.1

export AIRFLOW_HOME="$folder" AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export AIRFLOW_CONN_SQLITE_DEFAULT='{"conn_type": "sqlite", "host": "'"$folder"'/corpus.db"}'
cat >"$folder/out.py" <<'PYTHON'
import json
import os
import sqlite3

import polars
from airflow.providers.amazon.aws.transfers import sql_to_s3

path = f"{os.environ['AIRFLOW_HOME']}/corpus.db"
if not os.path.exists(path):
    with sqlite3.connect(path) as database:
        database.execute("create table texts (id text, text text, title text)")
        database.executemany("insert into texts values (?, ?, NULL)", [("1", "one"), ("2", None), ("3", "three")])


class Bucket:
    """What S3Hook would have written."""

    content = b""

    def __init__(self, **_):
        pass

    def load_file_obj(self, file_obj, **_):
        Bucket.content = file_obj.read()


sql_to_s3.S3Hook = Bucket
for format_, kind, read in (
    ("parquet", "pandas", polars.read_parquet),
    ("json", "pandas", lambda content: polars.DataFrame(json.loads(content))),
    ("parquet", "polars", polars.read_parquet),
):
    options = {"df_kwargs": {"orient": "records"}} if format_ == "json" else {}
    sql_to_s3.SqlToS3Operator(
        task_id="out", query="select * from texts", s3_bucket="corpus", s3_key="rows",
        sql_conn_id="sqlite_default", file_format=format_, df_type=kind, **options,
    ).execute({})
    table = read(Bucket.content)
    print(f"{kind}, {format_}: text {table['text'].to_list()}, title {table['title'].to_list()}")
PYTHON
seen=$(
  for newer in "" "$folder/newer"; do
    export PYTHONPATH="$newer"
    "$folder/venv/bin/python" -W ignore -c 'import pandas; print("pandas", pandas.__version__)'
    "$folder/venv/bin/python" -W ignore "$folder/out.py" 2>"$folder/log" || { cat "$folder/log" >&2; exit 1; }
  done
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
pandas 2.3.3
pandas, parquet: text ['one', 'None', 'three'], title ['None', 'None', 'None']
pandas, json: text ['one', None, 'three'], title [None, None, None]
polars, parquet: text ['one', None, 'three'], title [None, None, None]
pandas 3.1.1
pandas, parquet: text ['one', None, 'three'], title [None, None, None]
pandas, json: text ['one', None, 'three'], title [None, None, None]
polars, parquet: text ['one', None, 'three'], title [None, None, None]
EXPECTED
