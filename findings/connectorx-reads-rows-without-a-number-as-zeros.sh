#!/usr/bin/env bash
# connectorx with partition_on splits a query by ranges of a column, and rows where that column is NULL are in no range.
# For pandas it counts them all the same: the frame has the right length, and in their place are rows of zeros, the id 0
# and the text 0. For polars (polars.read_database_uri) these rows are left out.
# connectorx's readme says of the column "cannot contain NULL", and nothing checks it; polars' documentation does not.
# Hurts: who reads a corpus in parallel by a number that is not the key (an owner, a category, the score of an outer
# join): rows are not embedded and a check of the length passes, or the text "0" is embedded, so often as rows are gone.
# Versions: connectorx 0.4.6, polars 2.1.0, pandas 3.1.1, pyarrow 26.0.1, Python 3.11. Seen on 2026-11-29.
# Guess: rows with NULL come with the last part, or an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet connectorx==0.4.6 polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1

seen=$("$folder/venv/bin/python" -W ignore - "$folder" 2>"$folder/log" <<'PYTHON'
import sqlite3
import sys

import connectorx
import polars

path = f"{sys.argv[1]}/corpus.db"
with sqlite3.connect(path) as database:
    database.execute("create table texts (id integer, owner integer, text text)")
    rows = [(1, 10, "one"), (2, None, "two"), (3, 30, "three"), (4, 40, "four"), (5, None, "five"), (6, 60, "six")]
    database.executemany("insert into texts values (?, ?, ?)", rows)
url, query = f"sqlite://{path}", "select id, owner, text from texts"
by_owner = {"partition_on": "owner", "partition_num": 2}
for name, options in {"whole": {}, "by owner": by_owner}.items():
    frame = connectorx.read_sql(url, query, **options)
    print(f"{name}, pandas: {len(frame)} rows, {sorted(zip(frame['id'].tolist(), frame['text'].astype(str)))}")
    table = polars.read_database_uri(query, url, **options)
    print(f"{name}, polars: {len(table)} rows, {sorted(zip(table['id'], table['text']))}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
whole, pandas: 6 rows, [(1, 'one'), (2, 'two'), (3, 'three'), (4, 'four'), (5, 'five'), (6, 'six')]
whole, polars: 6 rows, [(1, 'one'), (2, 'two'), (3, 'three'), (4, 'four'), (5, 'five'), (6, 'six')]
by owner, pandas: 6 rows, [(0, '0'), (0, '0'), (1, 'one'), (3, 'three'), (4, 'four'), (6, 'six')]
by owner, polars: 4 rows, [(1, 'one'), (3, 'three'), (4, 'four'), (6, 'six')]
EXPECTED
