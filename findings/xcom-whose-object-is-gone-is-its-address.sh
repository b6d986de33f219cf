#!/usr/bin/env bash
# XComObjectStorageBackend of Airflow's common-io provider answers with the address of an object where the object cannot
# be read: a task that asks for a list of texts gets one text, "s3://bucket/…". So it is where the object is gone (a
# rule that empties the bucket, a clean-up), where it is cut off, and where xcom_objectstorage_path was changed since.
# No error, no warning. A mapped task has as many instances as the list had texts, and each gets a letter of the
# address: "s", "3", ":", "/".
# Hurts: who keeps large XComs in a bucket that expires, and clears a task of an older run: in the place of the corpus
# an address is embedded, letter by letter, and paid for, and the run is a success.
# isinstance(texts, list) tells in a task that takes all; a mapped one has nothing to tell it by.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-common-io 1.11.0, SQLite, Python 3.11. Seen on 2026-11-29.
# Guess: FileNotFoundError, as for any object that is not there, and JSONDecodeError for half of one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-common-io==1.11.0

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$folder/dags"
export AIRFLOW__CORE__XCOM_BACKEND=airflow.providers.common.io.xcom.backend.XComObjectStorageBackend
export AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH="file://$folder/xcoms"
export AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD=100
export AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR SEEN="$folder/seen"
mkdir "$folder/dags" "$folder/xcoms"
cat >"$folder/dags/nights.py" <<'PYTHON'
import os
import pathlib
import types

import pendulum
from airflow.providers.common.io.xcom.backend import XComObjectStorageBackend
from airflow.sdk import DAG, get_current_context, task

STORE = pathlib.Path(os.environ["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"].removeprefix("file://"))
TEXTS = [f"This is text number {number} of the corpus." for number in range(4)]


def tell(line):
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(line + "\n")


@task
def list_texts():
    return TEXTS


@task
def age(kind):
    for path in [path for path in (STORE / kind).rglob("*") if path.is_file()]:
        if kind == "expired":
            path.unlink()
        if kind == "cut":
            path.write_bytes(path.read_bytes()[:100])


@task
def embed(texts, kind):
    tell(f"{kind}, one task: a {type(texts).__name__}, {'the texts' if texts == TEXTS else texts[:7]}")


@task
def embed_one(text, kind):
    tell(f"{kind}, mapped task {get_current_context()['ti'].map_index}: {text!r}")


for kind in ("kept", "expired", "cut"):
    with DAG(kind, schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as night:
        texts = list_texts()
        aged = age(kind)
        texts >> aged >> [embed(texts, kind), embed_one.partial(kind=kind).expand(text=texts)]
    globals()[kind] = night
    if __name__ == "__main__":
        tell(f"{kind}: the run is a {night.test().state}")

if __name__ == "__main__":
    elsewhere = f"file://{STORE}-of-last-year/night/run/list_texts/texts.json"
    value = XComObjectStorageBackend.deserialize_value(types.SimpleNamespace(value=elsewhere))
    tell(f"stored under another path: a {type(value).__name__}, {value[:7]}")
PYTHON
"$folder/venv/bin/airflow" db migrate >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" -W ignore "$folder/dags/nights.py" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
seen=$(LC_ALL=C sort "$folder/seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
cut, mapped task 0: 'f'
cut, mapped task 1: 'i'
cut, mapped task 2: 'l'
cut, mapped task 3: 'e'
cut, one task: a str, file://
cut: the run is a success
expired, mapped task 0: 'f'
expired, mapped task 1: 'i'
expired, mapped task 2: 'l'
expired, mapped task 3: 'e'
expired, one task: a str, file://
expired: the run is a success
kept, mapped task 0: 'This is text number 0 of the corpus.'
kept, mapped task 1: 'This is text number 1 of the corpus.'
kept, mapped task 2: 'This is text number 2 of the corpus.'
kept, mapped task 3: 'This is text number 3 of the corpus.'
kept, one task: a list, the texts
kept: the run is a success
stored under another path: a str, file://
EXPECTED
