#!/usr/bin/env bash
# Once before Airflow starts: its tables, and the login. Running it again changes nothing, but for a new password.
set -euo pipefail

airflow db migrate

# The pools that the DAGs name: without them Airflow leaves their tasks unscheduled, and says nothing in the UI.
airflow pools import "$AIRFLOW__CORE__DAGS_FOLDER/pools.json"

# SimpleAuthManager makes up a password, and prints it into the log, for every user that is not in its file.
umask 077
python -c 'import json, os; print(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))' \
  > "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
