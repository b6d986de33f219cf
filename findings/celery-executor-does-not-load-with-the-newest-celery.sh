#!/usr/bin/env bash
# The celery provider of Airflow allows celery 5.7.0 (its requirement is celery[redis]>=5.5.0,<6), so a resolver takes
# it, and CeleryExecutor cannot be imported: the provider asks celery.backends.database for a name that 5.7.0 lacks.
# The scheduler's last word is 'The module/attribute could not be loaded. Please check "executor" key in "core"
# section', which is right as it stands.
# Hurts: who builds an image without Airflow's constraints, or adds a package that lifts celery: no task runs any more,
# and the message names a setting. celery<5.7 is the cure.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-celery 3.26.0, celery 5.7.0 (works with 5.6.2), Python 3.11.
# Seen on 2026-11-28. Guess: what a package requires is what it runs with.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__EXECUTOR=CeleryExecutor

cat >"$folder/load.py" <<'PYTHON'
import importlib.metadata
import re

from airflow.executors.executor_loader import ExecutorLoader

requirement = next(each for each in importlib.metadata.requires("apache-airflow-providers-celery") if "celery[" in each)
try:
    said = ExecutorLoader.load_executor(ExecutorLoader.get_default_executor_name()).__class__.__name__
except Exception as error:
    cause = re.sub(r" \(.*", "", str(error.__context__))
    said = f"{type(error).__name__}: {error} After: {cause}"
print(f"{requirement}, has celery {importlib.metadata.version('celery')}: {said}")
PYTHON
seen=
for version in 5.6.2 5.7.0; do
  "$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-celery==3.26.0 "celery==$version"
  seen+=$("$folder/venv/bin/python" -W ignore "$folder/load.py" 2>"$folder/log" | tail -1)$'\n'
done
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
celery[redis]>=5.5.0,<6, has celery 5.6.2: CeleryExecutor
celery[redis]>=5.5.0,<6, has celery 5.7.0: AirflowConfigException: The module/attribute could not be loaded. Please check "executor" key in "core" section. Current value: ":CeleryExecutor:". After: cannot import name 'retry' from 'celery.backends.database'

EXPECTED
