#!/usr/bin/env bash
# unlink of an object whose name has [ ] or * or ? acts on others: fsspec's rm takes the name for a glob, also where the
# object is there. UPath("s3://b/rows[12].jsonl").unlink() removes rows1.jsonl and rows2.jsonl and leaves
# rows[12].jsonl; fs.cat returns the content of these two. Airflow's ObjectStoragePath is a UPath. Reading and writing
# take the name as it is, and local files are spared.
# Hurts: who names objects by what people write (a model "m[v2]", a partition "*"): another night's results are removed
# or read, without an error. rm_file and open take the name as it is.
# Versions: fsspec and s3fs 2026.9.0, universal_pathlib 0.3.10, moto 5.2.5, Python 3.11. Seen on 2026-11-28.
# Guess: a path object names one object, as pathlib's does; globs are what glob() is for.
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
seen=$("$folder/venv/bin/python" -W ignore - "$folder" 2>"$folder/log" <<'PYTHON'
import sys

import boto3
from upath import UPath

boto3.client("s3").create_bucket(Bucket="corpus")
NAMES = ("rows[12].jsonl", "rows1.jsonl", "rows2.jsonl")


def play(kind, root, name, act):
    for each in root.iterdir() if root.exists() else ():
        each.fs.rm_file(each.path)
    root.fs.invalidate_cache()
    for each in NAMES:
        (root / each).write_text(f"of {each}")
    said = act(root / NAMES[0])
    root.fs.invalidate_cache()
    left = sorted(each.name for each in root.iterdir())
    print(f"{kind}, {name}:", *([said] if said else []), "left:", left)


local = UPath(f"file://{sys.argv[1]}/objects")
local.mkdir()
for kind, root in (("local", local), ("memory", UPath("memory:///objects")), ("s3", UPath("s3://corpus/objects"))):
    play(kind, root, "read_text", lambda path: path.read_text())
    play(kind, root, "unlink", lambda path: path.unlink())
play("s3", UPath("s3://corpus/objects"), "fs.cat", lambda path: path.fs.cat(path.path))
play("s3", UPath("s3://corpus/objects"), "fs.rm_file", lambda path: path.fs.rm_file(path.path))
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
local, read_text: of rows[12].jsonl left: ['rows1.jsonl', 'rows2.jsonl', 'rows[12].jsonl']
local, unlink: left: ['rows1.jsonl', 'rows2.jsonl']
memory, read_text: of rows[12].jsonl left: ['rows1.jsonl', 'rows2.jsonl', 'rows[12].jsonl']
memory, unlink: left: ['rows[12].jsonl']
s3, read_text: of rows[12].jsonl left: ['rows1.jsonl', 'rows2.jsonl', 'rows[12].jsonl']
s3, unlink: left: ['rows[12].jsonl']
s3, fs.cat: {'corpus/objects/rows1.jsonl': b'of rows1.jsonl', 'corpus/objects/rows2.jsonl': b'of rows2.jsonl'} left: ['rows1.jsonl', 'rows2.jsonl', 'rows[12].jsonl']
s3, fs.rm_file: left: ['rows1.jsonl', 'rows2.jsonl']
EXPECTED
