#!/usr/bin/env bash
# Dataset.from_list of Hugging Face's datasets makes the columns of the first row's keys: a key that comes later is left
# out for all rows, without a word. Rows whose first has an "error" keep it, the same rows in another order lose it.
# load_dataset("json") of the same rows has both columns; pyarrow's Table.from_pylist does as from_list, and its
# documentation says so.
# Hurts: who collects the answers of a batch, of which a failed row has "error" in place of "embedding": the errors are
# gone and the row is one with a null, or, where the first row failed, all embeddings are gone.
# Versions: datasets 5.2.0, pyarrow 26.0.1, pandas 3.1.1, Python 3.11. Seen on 2026-11-28.
# Guess: all keys, as pandas and datasets' own JSON reader take them, or an error for a row with other keys.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1

export HF_HUB_OFFLINE=1 HF_HOME="$folder/home" HF_DATASETS_DISABLE_PROGRESS_BARS=1
seen=$("$folder/venv/bin/python" -W ignore - "$folder" 2>"$folder/log" <<'PYTHON'
import json
import sys

import pandas
from datasets import Dataset, load_dataset

rows = [
    {"id": "a", "embedding": [0.5, 0.25]},
    {"id": "b", "error": {"code": "too_long"}},
    {"id": "c", "embedding": [0.75, 0.5]},
]
print("rows:", Dataset.from_list(rows).to_list())
print("the failed row first:", Dataset.from_list([rows[1], rows[0], rows[2]]).to_list())
path = f"{sys.argv[1]}/rows.jsonl"
with open(path, "w") as file:
    file.writelines(json.dumps(row) + "\n" for row in rows)
print("columns of load_dataset('json'):", sorted(load_dataset("json", data_files=path)["train"].column_names))
print("columns of pandas:", sorted(pandas.DataFrame(rows).columns))
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
rows: [{'id': 'a', 'embedding': [0.5, 0.25]}, {'id': 'b', 'embedding': None}, {'id': 'c', 'embedding': [0.75, 0.5]}]
the failed row first: [{'id': 'b', 'error': {'code': 'too_long'}}, {'id': 'a', 'error': None}, {'id': 'c', 'error': None}]
columns of load_dataset('json'): ['embedding', 'error', 'id']
columns of pandas: ['embedding', 'error', 'id']
EXPECTED
