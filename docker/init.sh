#!/usr/bin/env bash
# Once before Airflow starts: its tables, and the login. Running it again changes nothing, but for a new password.
set -euo pipefail

airflow db migrate

# SimpleAuthManager makes up a password, and prints it into the log, for every user that is not in its file.
umask 077
python -c 'import json, os; print(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))' \
  > "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
