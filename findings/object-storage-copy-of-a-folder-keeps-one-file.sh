#!/usr/bin/env bash
# ObjectStoragePath.copy of a folder to S3 under another connection writes all files to one key, that of the target
# folder, one over the other: of three shards the last is left, as an object "night", and the call returns. A "/" at the
# target's end changes nothing, and a single file that is copied to "night/" becomes the object "night". Where the
# target has a file in it already, the shards land in night/night/. Under one connection, to a whole bucket and to a
# local folder all files arrive. move does the same copy; the files stay at the source.
# Hurts: who hands a night's results to another account or region, which is what a second connection is for: the task
# is green, and one shard of the night is there, under the folder's name. Whoever tries it under one connection, or
# locally, sees nothing. Files that are copied one by one, each to its full path, arrive.
# Versions: apache-airflow 3.3.2, providers amazon 9.39.0 and common-io 1.11.0, s3fs and fsspec 2026.9.0,
# universal_pathlib 0.3.10, moto 5.2.5, Python 3.11. Seen on 2026-11-29.
# Guess: three files below the target, as under one connection, or by their keys, as the help of copy has it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-airflow==3.3.2 apache-airflow-providers-amazon==9.39.0 \
  apache-airflow-providers-common-io==1.11.0 s3fs==2026.9.0 fsspec==2026.9.0 universal_pathlib==0.3.10 \
  'moto[s3,server]==5.2.5'

export AIRFLOW_HOME="$folder/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
seen=$("$folder/venv/bin/python" -W ignore - "$folder" 2>"$folder/log" <<'PYTHON'
import json
import os
import sys

import boto3
from airflow.sdk import ObjectStoragePath
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://{}:{}".format(*server.get_host_and_port())
for name in ("ours", "theirs"):
    os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps({
        "conn_type": "aws", "login": name, "password": "fake",
        "extra": {"endpoint_url": url, "region_name": "us-east-1"},
    })
s3 = boto3.resource(
    "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="fake", aws_secret_access_key="fake",
)
source, target = s3.create_bucket(Bucket="source"), s3.create_bucket(Bucket="target")
night = "s3://ours@source/night"


def tell(name, act, before=()):
    """What lies at the target after an act with one or two connections."""
    source.objects.delete()
    target.objects.delete()
    for number in range(3):
        source.put_object(Key=f"night/part-{number}", Body=f"part {number}".encode())
    for key in before:
        target.put_object(Key=key, Body=b"")
    try:
        act()
        result = "returns"
    except Exception as error:
        result = type(error).__name__
    there = {one.key: one.get()["Body"].read().decode() for one in target.objects.all() if one.key not in before}
    print(f"{name}: {result}; " + ", ".join(f"{key} is {text}" for key, text in there.items()))


def copy(start, end):
    return lambda: ObjectStoragePath(start).copy(ObjectStoragePath(end), recursive=True)


def one_by_one():
    end = ObjectStoragePath("s3://theirs@target/night")
    for path in ObjectStoragePath(night).iterdir():
        path.copy(end / path.name)


tell("copy, one", copy(night, "s3://ours@target/night"))
tell("copy, two", copy(night, "s3://theirs@target/night"))
tell("copy, two, /", copy(night, "s3://theirs@target/night/"))
tell("copy, two, a file is there", copy(night, "s3://theirs@target/night"), before=["night/readme"])
tell("copy, two, whole bucket", copy(night, "s3://theirs@target"))
tell("copy, two, a file to a folder", copy(f"{night}/part-1", "s3://theirs@target/night/"))
tell("copy, two, file by file", one_by_one)
tell("move, two", lambda: ObjectStoragePath(night).move("s3://theirs@target/night", recursive=True))
print(f"after the move, at the source: {len(list(source.objects.all()))} files")
copy(night, f"file://{sys.argv[1]}/night")()
print(f"copy to a local folder: {sorted(os.listdir(f'{sys.argv[1]}/night'))}")
server.stop()
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
copy, one: returns; night/part-0 is part 0, night/part-1 is part 1, night/part-2 is part 2
copy, two: returns; night is part 2
copy, two, /: returns; night is part 2
copy, two, a file is there: returns; night/night/part-0 is part 0, night/night/part-1 is part 1, night/night/part-2 is part 2
copy, two, whole bucket: returns; night/part-0 is part 0, night/part-1 is part 1, night/part-2 is part 2
copy, two, a file to a folder: returns; night is part 1
copy, two, file by file: returns; night/part-0 is part 0, night/part-1 is part 1, night/part-2 is part 2
move, two: returns; night is part 2
after the move, at the source: 3 files
copy to a local folder: ['part-0', 'part-1', 'part-2']
EXPECTED
