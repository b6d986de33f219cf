#!/usr/bin/env bash
# ObjectStoragePath("s3://typo@bucket/key"), with a connection that Airflow does not have, is no error: the amazon
# provider says so in a log line and goes on with whatever keys the machine has, in whatever account they open.
# Hurts: who mistypes a connection id, or reads in a notebook, where the database's connections are not asked: data of
# another account is read, or results are written there.
# Versions: apache-airflow 3.3.2, providers amazon 9.39.0 and common-io 1.11.0, moto 5.2.5, Python 3.11.
# Seen on 2026-11-27. Guess: AirflowNotFoundException, as BaseHook.get_connection raises for the same id.
set -euo pipefail
folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 'apache-airflow-providers-amazon[s3fs]==9.39.0' \
  aiobotocore==3.10.0 apache-airflow-providers-common-io==1.11.0 'moto[s3,server]==5.2.5' 2>&1 | { grep -v notice || true; }

port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$folder/moto.log" 2>&1 &
server=$!
export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_ACCESS_KEY_ID=fake-key-of-the-machine AWS_SECRET_ACCESS_KEY=fake \
  AWS_DEFAULT_REGION=us-east-1 NO_PROXY=127.0.0.1
"$folder/venv/bin/python" - >"$folder/seen" 2>"$folder/log" <<'PYTHON'
import time

import boto3
from airflow.sdk import BaseHook, ObjectStoragePath
from airflow.sdk.exceptions import AirflowNotFoundException
from botocore.config import Config

s3 = boto3.client("s3", config=Config(retries={"total_max_attempts": 20}))
for _ in range(50):
    try:
        s3.create_bucket(Bucket="corpus")
        break
    except Exception as error:
        assert "Could not connect" in str(error), error
        time.sleep(0.2)
s3.put_object(Bucket="corpus", Key="rows.jsonl", Body=b"of the machine's account")
try:
    BaseHook.get_connection("no_such_connection")
except AirflowNotFoundException as error:
    print("get_connection:", type(error).__name__)
path = ObjectStoragePath("s3://no_such_connection@corpus/rows.jsonl")
print("read:", path.read_bytes().decode())
ObjectStoragePath("s3://no_such_connection@corpus/written.jsonl").write_bytes(b"x")
print("written:", [found["Key"] for found in s3.list_objects_v2(Bucket="corpus")["Contents"]])
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
get_connection: AirflowNotFoundException
read: of the machine's account
written: ['rows.jsonl', 'written.jsonl']
EXPECTED
