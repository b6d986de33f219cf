#!/usr/bin/env bash
# Dataset.from_generator of Hugging Face's datasets keeps what a generator gave under a hash of its code and arguments,
# in the cache of the machine's user, and gives it again to the next process, without running it: a generator that reads
# a file, a table or an index is asked once, ever. What it reads has changed, the rows have not.
# load_dataset("json") of the same path looks at the file.
# Hurts: who makes each night's input with one from a fixed path or query: every night after the first on a worker
# embeds the first night's rows (paid again), and the new rows never. A `fingerprint` that is new each night cures it.
# Versions: datasets 5.2.0, Python 3.11. Seen on 2026-11-28.
# Guess: a generator is run for each call, as Dataset.from_list(list(rows(path))) would be.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0

export HF_HUB_OFFLINE=1 HF_HOME="$folder/home"
cat >"$folder/night.py" <<'PYTHON'
import sys

import datasets

datasets.disable_progress_bars()


def rows(path):
    with open(path) as file:
        for line in file:
            yield {"text": line.strip()}


path = sys.argv[1]
night = datasets.Dataset.from_generator(rows, gen_kwargs={"path": path})
read = datasets.load_dataset("text", data_files=path)["train"]
print(f"from_generator {night['text'][:]}, load_dataset {read['text'][:]}")
PYTHON
seen=$(
  for night in monday tuesday; do
    printf '%s one\n%s two\n' "$night" "$night" >"$folder/texts.txt"
    echo "$night: $("$folder/venv/bin/python" -W ignore "$folder/night.py" "$folder/texts.txt" 2>"$folder/log")"
  done
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
monday: from_generator ['monday one', 'monday two'], load_dataset ['monday one', 'monday two']
tuesday: from_generator ['monday one', 'monday two'], load_dataset ['tuesday one', 'tuesday two']
EXPECTED
