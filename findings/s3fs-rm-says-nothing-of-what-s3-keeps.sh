#!/usr/bin/env bash
# rm of s3fs, and unlink of a UPath (so of Airflow's ObjectStoragePath), is silent where S3 refuses to delete: a key
# without s3:DeleteObject, a bucket's policy, an object lock. rm asks DeleteObjects even for one object, whose answer is
# 200 with the refusals inside, and s3fs does not look at them. rm_file uses DeleteObject and raises PermissionError.
# Hurts: who erases a person's rows, or clears a folder before it is written again: the task is green, the objects stay,
# and stale shards or answers are read beside the new.
# Versions: s3fs and fsspec 2026.9.0, universal_pathlib 0.3.10, moto 5.2.5, Python 3.11. Seen on 2026-11-28.
# Guess: PermissionError, as for a refused read or write.
set -euo pipefail
folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet s3fs==2026.9.0 fsspec==2026.9.0 aiobotocore==3.10.0 boto3==1.43.117 \
  universal_pathlib==0.3.10 'moto[s3,server]==5.2.5'

port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$folder/moto.log" 2>&1 &
server=$!
export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_ACCESS_KEY_ID=fake AWS_SECRET_ACCESS_KEY=fake \
  AWS_DEFAULT_REGION=us-east-1 NO_PROXY=127.0.0.1
for _ in $(seq 100); do
  if curl --silent --output /dev/null --noproxy '*' "$AWS_ENDPOINT_URL/"; then break; fi
  sleep 0.2
done
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import json

import boto3
import s3fs
from upath import UPath

s3 = boto3.client("s3")
s3.create_bucket(Bucket="corpus")
for key in ("rows/a.jsonl", "rows/b.jsonl"):
    s3.put_object(Bucket="corpus", Key=key, Body=b"{}\n")
deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::corpus/*"}
s3.put_bucket_policy(Bucket="corpus", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
fs = s3fs.S3FileSystem()
acts = {
    "boto3 delete_object": lambda: s3.delete_object(Bucket="corpus", Key="rows/a.jsonl"),
    "s3fs rm_file": lambda: fs.rm_file("corpus/rows/a.jsonl"),
    "s3fs rm": lambda: fs.rm("corpus/rows/a.jsonl"),
    "s3fs rm, recursive": lambda: fs.rm("corpus/rows", recursive=True),
    "UPath unlink": lambda: UPath("s3://corpus/rows/a.jsonl").unlink(),
}
for name, act in acts.items():
    try:
        act()
        said = "no error"
    except Exception as error:
        said = type(error).__name__
    left = [found["Key"] for found in s3.list_objects_v2(Bucket="corpus")["Contents"]]
    print(f"{name}: {said}; still there: {left}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
boto3 delete_object: ClientError; still there: ['rows/a.jsonl', 'rows/b.jsonl']
s3fs rm_file: PermissionError; still there: ['rows/a.jsonl', 'rows/b.jsonl']
s3fs rm: no error; still there: ['rows/a.jsonl', 'rows/b.jsonl']
s3fs rm, recursive: no error; still there: ['rows/a.jsonl', 'rows/b.jsonl']
UPath unlink: no error; still there: ['rows/a.jsonl', 'rows/b.jsonl']
EXPECTED
