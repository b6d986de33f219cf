#!/usr/bin/env bash
# A task that waits behind a deferred one in a mapped task group costs Airflow's scheduler four SELECTs each time that
# the scheduler looks at the run. A run of 50 deferred waits is 202 SELECTs.
# Hurts: who maps a wait over many batches. The workers are free, and the scheduler is not. One mapped task that waits
# for many batches is 6 SELECTs.
# Versions: apache-airflow 3.3.2, SQLite, Python 3.11.
# Seen on 2026-11-29: 6, 42, 202 SELECTs for 1, 10, 50 deferred waits. Guess: a number that does not grow, as
# no task has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2
export AIRFLOW_HOME="$folder/home" AIRFLOW__CORE__DAGS_FOLDER="$folder/dags" AIRFLOW__CORE__LOAD_EXAMPLES=False
mkdir "$folder/dags"

cat >"$folder/dags/batches.py" <<'PYTHON'
from airflow.sdk import dag, task, task_group


@dag(schedule=None)
def batches():
    @task
    def plan():
        return ["batch_1"]

    @task
    def wait(batch):
        return batch

    @task
    def fetch(batch):
        return batch

    @task_group
    def answered(batch):
        fetch(wait(batch))

    answered.expand(batch=plan())


batches()
PYTHON

cat >"$folder/loop.py" <<'PYTHON'
"""What one loop of the scheduler asks the database about a run whose mapped waits are all deferred."""

import sys

from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskmap import TaskMap
from airflow.models.xcom import XComModel
from airflow.settings import engine
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import event, select

selects = 0


@event.listens_for(engine, "before_cursor_execute")
def count(connection, cursor, statement, parameters, context, executemany):
    global selects
    selects += statement.startswith("SELECT")


def tasks(session, task_id):
    return session.scalars(select(TaskInstance).where(TaskInstance.task_id == task_id))


waits = int(sys.argv[1])
with create_session() as session:
    run = session.scalars(select(DagRun)).one()
    run.dag = DBDagBag().get_dag_for_run(run, session=session)
    for plan in tasks(session, "plan"):
        plan.state = TaskInstanceState.SUCCESS
    of_plan = {"dag_id": run.dag_id, "task_id": "plan", "run_id": run.run_id}
    XComModel.set(key="return_value", value=list(range(waits)), **of_plan, session=session)
    session.add(TaskMap(**of_plan, map_index=-1, length=waits, keys=None))
    session.flush()
    run.update_state(session=session)  # wait is expanded
    for wait in tasks(session, "answered.wait"):
        wait.state = TaskInstanceState.DEFERRED
    session.flush()
    run.update_state(session=session)  # fetch is expanded
    selects = 0
    run.update_state(session=session)
    print(f"{waits} deferred: {selects} SELECTs")
    session.rollback()
PYTHON
PATH="$folder/venv/bin:$PATH"
{ airflow db migrate && airflow dags reserialize && airflow dags trigger batches; } >"$folder/log" 2>&1 ||
  { cat "$folder/log"; exit 1; }
seen=$(for waits in 1 10 50; do python "$folder/loop.py" "$waits" 2>>"$folder/log" | grep deferred; done) ||
  { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
1 deferred: 6 SELECTs
10 deferred: 42 SELECTs
50 deferred: 202 SELECTs
EXPECTED
