#!/usr/bin/env bash
# The check_fn of Airflow's S3KeySensor gets other files in each way of asking. With deferrable=True a wildcard is cut
# at its first "*" and the rest listed up to the next "/": files that do not match come too, and of a pattern as
# "nights/*/part-*.jsonl" none at all, so "all files have rows" is true of an empty list. With use_regex=True check_fn
# is never called.
# Hurts: who waits until the shards of a night are whole: the sensor is green while one has no byte, and the next tasks
# embed what is there; or a stray file beside the shards keeps it waiting for ever. A look at `len(files)` helps the
# deferred wildcard, nothing the regex. Without both, the matching files are handed over.
# Versions: apache-airflow 3.3.2, apache-airflow-providers-amazon 9.39.0, moto 5.2.5, Python 3.11. Seen on 2026-11-29.
# Guess: check_fn decides, over the files that match, whatever the way of asking.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 'apache-airflow-providers-amazon[aiobotocore]==9.39.0' \
    'moto[server,s3]==5.2.5'

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export NO_PROXY=127.0.0.1 AWS_ACCESS_KEY_ID=fake AWS_SECRET_ACCESS_KEY=fake AWS_DEFAULT_REGION=us-east-1
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import asyncio
import os

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
s3 = boto3.client("s3")
s3.create_bucket(Bucket="corpus")


def put(files):
    for key, content in files.items():
        s3.put_object(Bucket="corpus", Key=key, Body=content)


put({"nights/29/part-0.jsonl": b"{}\n", "nights/29/part-1.jsonl": b""})
LATER = {"whole-0.jsonl": b"{}\n", "whole-1.jsonl": b"{}\n", "whole-1.lock": b""}

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor  # noqa: E402
from airflow.sdk.exceptions import TaskDeferred  # noqa: E402

given = []


def has_rows(files, **_):
    given.append([file["Key"] for file in files])
    return all(file["Size"] > 0 for file in files)


def sensor(**options):
    given.clear()
    return S3KeySensor(
        task_id="wait", bucket_name="corpus", aws_conn_id=None, check_fn=has_rows, poke_interval=0.1, **options
    )


def deferred(**options):
    """What the task says when its trigger has fired; the later files come while it is deferred."""
    task = sensor(deferrable=True, **options)
    try:
        task.execute({})
        return True
    except TaskDeferred as wait:
        put(LATER)
        event = asyncio.run(anext(wait.trigger.run()))
    try:
        task.execute_complete({}, event.payload)
        return True
    except TaskDeferred:
        return False


for key, way in (
    ("whole-*.jsonl", {"wildcard_match": True}),
    ("nights/29/part-*.jsonl", {"wildcard_match": True}),
    ("nights/*/part-*.jsonl", {"wildcard_match": True}),
    (r"nights/29/part-\d.jsonl", {"use_regex": True}),
):
    print("seen:", key)
    for name, ready in (("deferred", deferred), ("poke", lambda **o: sensor(**o).poke({}))):
        said = "success" if ready(bucket_key=key, **way) else "waits"
        print(f"seen:   {name} {said}, check_fn got {given[-1] if given else 'no call'}")
PYTHON
) || { cat "$folder/log"; exit 1; }
seen=$(sed -n 's/^seen: //p' <<<"$seen")
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
whole-*.jsonl
  deferred waits, check_fn got ['whole-0.jsonl', 'whole-1.jsonl', 'whole-1.lock']
  poke success, check_fn got ['whole-0.jsonl', 'whole-1.jsonl']
nights/29/part-*.jsonl
  deferred waits, check_fn got ['nights/29/part-0.jsonl', 'nights/29/part-1.jsonl']
  poke waits, check_fn got ['nights/29/part-0.jsonl', 'nights/29/part-1.jsonl']
nights/*/part-*.jsonl
  deferred success, check_fn got []
  poke waits, check_fn got ['nights/29/part-0.jsonl', 'nights/29/part-1.jsonl']
nights/29/part-\d.jsonl
  deferred success, check_fn got no call
  poke success, check_fn got no call
EXPECTED
