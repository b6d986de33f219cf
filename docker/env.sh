#!/bin/sh
# Write .env (or the file that is named) with random secrets, from .env.example. Never over a file that is there.
set -eu
target=${1:-.env}
example=$(dirname "$0")/../.env.example

if [ -e "$target" ]; then
  echo "$target is there already: delete it for new secrets (docs/compose.md says which cannot be changed)" >&2
  exit 1
fi

# As URLs and Fernet want it: 32 random bytes, 44 characters of A-Z a-z 0-9 - _ and "=".
fernet() { head -c 32 /dev/urandom | base64 | tr -- '+/' '-_'; }
hex() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

umask 077
sed \
  -e "s|^POSTGRES_PASSWORD=.*|POSTGRES_PASSWORD=$(hex 24)|" \
  -e "s|^VALKEY_PASSWORD=.*|VALKEY_PASSWORD=$(hex 24)|" \
  -e "s|^AIRFLOW_FERNET_KEY=.*|AIRFLOW_FERNET_KEY=$(fernet)|" \
  -e "s|^AIRFLOW_JWT_SECRET=.*|AIRFLOW_JWT_SECRET=$(hex 64)|" \
  -e "s|^AIRFLOW_API_SECRET_KEY=.*|AIRFLOW_API_SECRET_KEY=$(hex 32)|" \
  -e "s|^AIRFLOW_ADMIN_PASSWORD=.*|AIRFLOW_ADMIN_PASSWORD=$(hex 12)|" \
  "$example" > "$target"
echo "wrote $target; login: admin, with AIRFLOW_ADMIN_PASSWORD from it"
