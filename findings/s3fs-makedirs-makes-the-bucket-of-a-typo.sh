#!/usr/bin/env bash
# makedirs of s3fs, and mkdir(parents=True) of a UPath (so of Airflow's ObjectStoragePath), make the bucket where it is
# not there: folders are nothing on S3, a bucket is. `mkdir(parents=True, exist_ok=True)` before writing, as for local
# files, turns a mistyped bucket into a new one with the account's defaults, and the results land there. Without the
# mkdir the write is FileNotFoundError.
# Hurts: who may create buckets and mistypes an output: the night is green, its vectors lie in a bucket without the
# rules of the right one (encryption, expiry, readers), and consumers read the old results.
# Versions: s3fs and fsspec 2026.9.0, universal_pathlib 0.3.10, moto 5.2.5, Python 3.11. Seen on 2026-11-28.
# Guess: nothing, as mkdir has nothing to do on S3, or FileNotFoundError; mkdir without parents raises just that.
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
import boto3
import s3fs
from upath import UPath

s3 = boto3.client("s3")
s3.create_bucket(Bucket="results")


def written(root, make_folder):
    make_folder(root / "night")
    (root / "night" / "rows.jsonl").write_text("{}\n")


acts = {
    "write": lambda: written(UPath("s3://resutls-0"), lambda night: None),
    "mkdir()": lambda: written(UPath("s3://resutls-1"), lambda night: night.mkdir()),
    "mkdir(parents=True)": lambda: written(UPath("s3://resutls-2"), lambda night: night.mkdir(parents=True, exist_ok=True)),
    "fs.makedirs": lambda: s3fs.S3FileSystem().makedirs("resutls-3/night", exist_ok=True),
}
for name, act in acts.items():
    before = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    try:
        act()
        said = "no error"
    except Exception as error:
        said = type(error).__name__
    print(f"{name}: {said}; buckets made:", [each["Name"] for each in s3.list_buckets()["Buckets"] if each["Name"] not in before])
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
write: FileNotFoundError; buckets made: []
mkdir(): FileNotFoundError; buckets made: []
mkdir(parents=True): no error; buckets made: ['resutls-2']
fs.makedirs: no error; buckets made: ['resutls-3']
EXPECTED
