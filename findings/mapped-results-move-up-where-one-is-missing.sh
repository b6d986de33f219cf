#!/usr/bin/env bash
# What a mapped task returned has places by what is there, not by map index: where one of its instances returned None,
# was skipped or failed, the results of all later ones move up. shards.zip(vectors), the way to map over both, pairs
# "b" with the vectors of "c" and leaves "d" out; in a task that takes both lists zip(shards, vectors) does the same.
# No error, no warning. The documentation has the None as a way to filter what the next mapped task gets, and says
# nothing of zip; Airflow's issue 40321 tells of the moved places since 2024.
# xcom_pull(map_indexes=[0, 1, 2, 3]) keeps a None in the place of what is missing.
# Hurts: who embeds shards in mapped tasks, and has one with nothing to do, skipped, or failed under a lenient trigger
# rule: vectors are stored under another shard's name, the last shard never is, and the run is a success.
# A result that has its shard in it needs no place.
# Versions: apache-airflow 3.3.2, SQLite, Python 3.11. Seen on 2026-11-29.
# Guess: the place is the map index, with a None for what is missing, or an error for lists of two lengths.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER="$folder/dags"
export AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR SEEN="$folder/seen"
mkdir "$folder/dags"
cat >"$folder/dags/nights.py" <<'PYTHON'
import os

import pendulum
from airflow.sdk import DAG, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

SHARDS = ["a", "b", "c", "d"]


def tell(line):
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(line + "\n")


@task
def list_shards():
    return SHARDS


@task
def embed(shard, b):
    if shard == "b" and b == "skipped":
        raise AirflowSkipException
    if shard == "b" and b == "failed":
        raise ValueError
    return None if shard == "b" and b == "without a result" else f"vectors of {shard}"


@task(trigger_rule="all_done")
def store(pair, b):
    tell(f"b {b}, mapped over zip: {pair[0]} gets {pair[1]}")


@task(trigger_rule="all_done")
def store_all(shards, vectors, b):
    tell(f"b {b}, in one task: {dict(zip(shards, vectors))}")
    pulled = get_current_context()["ti"].xcom_pull(task_ids="embed", map_indexes=list(range(len(SHARDS))))
    tell(f"b {b}, xcom_pull by map index: {dict(zip(shards, pulled))}")


for kind in ("embedded", "without a result", "skipped", "failed"):
    with DAG(kind.replace(" ", "_"), schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as night:
        shards = list_shards()
        vectors = embed.partial(b=kind).expand(shard=shards)
        store.partial(b=kind).expand(pair=shards.zip(vectors))
        store_all(shards, vectors, kind)
    globals()[night.dag_id] = night
    if __name__ == "__main__":
        tell(f"b {kind}: the run is a {night.test().state}")
PYTHON
"$folder/venv/bin/airflow" db migrate >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" -W ignore "$folder/dags/nights.py" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
seen=$(LC_ALL=C sort "$folder/seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
b embedded, in one task: {'a': 'vectors of a', 'b': 'vectors of b', 'c': 'vectors of c', 'd': 'vectors of d'}
b embedded, mapped over zip: a gets vectors of a
b embedded, mapped over zip: b gets vectors of b
b embedded, mapped over zip: c gets vectors of c
b embedded, mapped over zip: d gets vectors of d
b embedded, xcom_pull by map index: {'a': 'vectors of a', 'b': 'vectors of b', 'c': 'vectors of c', 'd': 'vectors of d'}
b embedded: the run is a success
b failed, in one task: {'a': 'vectors of a', 'b': 'vectors of c', 'c': 'vectors of d'}
b failed, mapped over zip: a gets vectors of a
b failed, mapped over zip: b gets vectors of c
b failed, mapped over zip: c gets vectors of d
b failed, xcom_pull by map index: {'a': 'vectors of a', 'b': None, 'c': 'vectors of c', 'd': 'vectors of d'}
b failed: the run is a success
b skipped, in one task: {'a': 'vectors of a', 'b': 'vectors of c', 'c': 'vectors of d'}
b skipped, mapped over zip: a gets vectors of a
b skipped, mapped over zip: b gets vectors of c
b skipped, mapped over zip: c gets vectors of d
b skipped, xcom_pull by map index: {'a': 'vectors of a', 'b': None, 'c': 'vectors of c', 'd': 'vectors of d'}
b skipped: the run is a success
b without a result, in one task: {'a': 'vectors of a', 'b': 'vectors of c', 'c': 'vectors of d'}
b without a result, mapped over zip: a gets vectors of a
b without a result, mapped over zip: b gets vectors of c
b without a result, mapped over zip: c gets vectors of d
b without a result, xcom_pull by map index: {'a': 'vectors of a', 'b': None, 'c': 'vectors of c', 'd': 'vectors of d'}
b without a result: the run is a success
EXPECTED
