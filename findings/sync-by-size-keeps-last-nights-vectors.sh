#!/usr/bin/env bash
# Vectors of the same shape have files of the same size, and two ways to copy only what has changed look at sizes:
# `aws s3 sync` from S3 to a folder leaves a local file of the same size alone also where the object is newer
# (--exact-timestamps copies it), and so does rsync of fsspec.generic from S3 to a folder, by default. The JSON file
# beside, two bytes longer, is copied: new ids, old vectors. `aws s3 sync` from bucket to bucket copies the newer one.
# Hurts: who brings each night's .npy, .safetensors or faiss index to the machines that serve it: rows are joined with
# the vectors of the night before, and both commands succeed. With rsync update_cond="always" copies all.
# Versions: awscli 1.46.3, fsspec and s3fs 2026.9.0, moto 5.2.5, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: a newer object is copied, as by `aws s3 sync` from bucket to bucket.
set -euo pipefail
folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" || true; wait "$server" || true; fi; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet awscli==1.46.3 s3fs==2026.9.0 fsspec==2026.9.0 numpy==2.4.6 \
  'moto[s3,server]==5.2.5'

port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$folder/moto.log" 2>&1 &
server=$!
export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_ACCESS_KEY_ID=fake AWS_SECRET_ACCESS_KEY=fake \
  AWS_DEFAULT_REGION=us-east-1 NO_PROXY=127.0.0.1 HOME="$folder"
answers() { curl --silent --output /dev/null --noproxy '*' "$AWS_ENDPOINT_URL/"; }
for _ in $(seq 100); do
  if answers; then break; fi
  sleep 0.2
done
answers || { cat "$folder/moto.log"; exit 1; }
seen=$(cd "$folder" && venv/bin/python -W ignore - 2>"$folder/log" <<'PYTHON'
import json
import subprocess
import time

import numpy
import s3fs
from fsspec.generic import rsync

fs = s3fs.S3FileSystem(use_listings_cache=False)
fs.mkdir("vectors")
fs.mkdir("copy")


def sync(*arguments):
    subprocess.run(["venv/bin/aws", "s3", "sync", "--quiet", *arguments], check=True)


def local(name):
    return numpy.load(f"{name}/rows.npy"), json.load(open(f"{name}/ids.json"))


def remote():
    with fs.open("copy/night/rows.npy") as rows, fs.open("copy/night/ids.json") as ids:
        return numpy.load(rows), json.load(ids)


ways = {
    "aws s3 sync to a folder": (lambda: sync("s3://vectors/night", "a"), lambda: local("a")),
    "with --exact-timestamps": (lambda: sync("--exact-timestamps", "s3://vectors/night", "b"), lambda: local("b")),
    "aws s3 sync to a bucket": (lambda: sync("s3://vectors/night", "s3://copy/night"), remote),
    "fsspec rsync to a folder": (lambda: rsync("s3://vectors/night", f"file://{fs_folder}/c"), lambda: local("c")),
    "fsspec rsync, always": (
        lambda: rsync("s3://vectors/night", f"file://{fs_folder}/d", update_cond="always"), lambda: local("d")),
}
fs_folder = subprocess.run(["pwd"], capture_output=True, text=True, check=True).stdout.strip()
for night in (1, 22):
    with fs.open("vectors/night/rows.npy", "wb") as rows:
        numpy.save(rows, numpy.full((2, 3), night, "float32"))
    with fs.open("vectors/night/ids.json", "w") as ids:
        json.dump([f"night {night}"] * 2, ids)
    for way, (copy, read) in ways.items():
        copy()
        vectors, names = read()
        print(f"night {night}, {way}: ids of {names[0]}, vectors of night {vectors[0, 0]:.0f}")
    written = max(fs.info(f"{bucket}/night/rows.npy")["LastModified"].timestamp() for bucket in ("vectors", "copy"))
    while time.time() < written + 2:  # S3 keeps whole seconds
        time.sleep(0.1)
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
night 1, aws s3 sync to a folder: ids of night 1, vectors of night 1
night 1, with --exact-timestamps: ids of night 1, vectors of night 1
night 1, aws s3 sync to a bucket: ids of night 1, vectors of night 1
night 1, fsspec rsync to a folder: ids of night 1, vectors of night 1
night 1, fsspec rsync, always: ids of night 1, vectors of night 1
night 22, aws s3 sync to a folder: ids of night 22, vectors of night 1
night 22, with --exact-timestamps: ids of night 22, vectors of night 22
night 22, aws s3 sync to a bucket: ids of night 22, vectors of night 22
night 22, fsspec rsync to a folder: ids of night 22, vectors of night 1
night 22, fsspec rsync, always: ids of night 22, vectors of night 22
EXPECTED
