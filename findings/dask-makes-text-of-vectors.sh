#!/usr/bin/env bash
# dask.dataframe makes text of each column of Python objects as it takes them in, as if they were strings: a vector from
# pandas, JSON Lines, from_map or from_delayed becomes the text that print shows. Of a numpy vector of more than 1000
# numbers that is the first three, three dots and the last three, and to_parquet stores this text. No error, no warning.
# The setting's description says "string-like data"; the dask issue 10139 tells of lists since 2023. The same vectors
# read from Parquet are no text, nor are those that a function makes in map_partitions.
# Hurts: who spreads a corpus over workers with dask: the paid vectors are gone from the file, at 1536 or 3072 numbers
# for good. dask.config.set({"dataframe.convert-string": False}) before, or a column of a pyarrow list, keeps them.
# Versions: dask 2026.8.0, pandas 3.1.1, pyarrow 26.0.1, numpy 2.4.6, Python 3.11. Seen on 2026-11-29.
# Guess: lists stay lists, as in pandas, or an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "dask[dataframe]==2026.8.0" pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6

seen=$(cd "$folder" && venv/bin/python - 2>"$folder/log" <<'PYTHON'
import warnings

import dask
import dask.dataframe as dd
import numpy as np
import pandas
import pyarrow

dask.config.set(scheduler="synchronous")
# 1536 numbers of float32, as a vendor returns them; print shows these few digits in full.
vectors = [np.arange(1536, dtype="float32") / 8 + row for row in range(4)]
arrays = pandas.DataFrame({"id": range(4), "v": vectors})
lists = arrays.assign(v=[vector.tolist()[:3] for vector in vectors])
arrow = arrays.assign(v=pandas.Series(vectors, dtype=pandas.ArrowDtype(pyarrow.list_(pyarrow.float32()))))
lists.to_json("lists.jsonl", orient="records", lines=True)
arrays.to_parquet("arrays.parquet")


def tell(name, frame):
    value = frame["v"].iloc[1]
    print(f"{name}: {type(value).__name__}" + (f" of {len(value)}: {value}" if isinstance(value, str) else ""))


def stored(frame, name):
    frame.to_parquet(name)
    return pandas.read_parquet(name)


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    tell("from_pandas, lists of 3", dd.from_pandas(lists, npartitions=2).compute())
    tell("from_pandas, arrays of 1536", dd.from_pandas(arrays, npartitions=2).compute())
    tell("from_pandas, arrays of 1536, to_parquet", stored(dd.from_pandas(arrays, npartitions=2), "stored"))
    tell("from_map, arrays of 1536", dd.from_map(lambda part: arrays, [0]).compute())
    tell("from_delayed, arrays of 1536", dd.from_delayed([dask.delayed(arrays)]).compute())
    tell("read_json, lists of 3", dd.read_json("lists.jsonl").compute())
    tell("read_parquet, arrays of 1536", dd.read_parquet("arrays.parquet").compute())
    ids = dd.from_pandas(arrays[["id"]], npartitions=2)
    tell("map_partitions", ids.map_partitions(lambda part: part.assign(v=[[0.5, 0.25]] * len(part))).compute())
    tell("from_pandas, a column of pyarrow lists", dd.from_pandas(arrow, npartitions=2).compute())
    with dask.config.set({"dataframe.convert-string": False}):
        tell("from_pandas, convert-string false", dd.from_pandas(arrays, npartitions=2).compute())
print(f"warnings that name text or strings: {sum('str' in str(one.message) for one in said)}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
from_pandas, lists of 3: str of 18: [1.0, 1.125, 1.25]
from_pandas, arrays of 1536: str of 53: [  1.      1.125   1.25  ... 192.625 192.75  192.875]
from_pandas, arrays of 1536, to_parquet: str of 53: [  1.      1.125   1.25  ... 192.625 192.75  192.875]
from_map, arrays of 1536: str of 53: [  1.      1.125   1.25  ... 192.625 192.75  192.875]
from_delayed, arrays of 1536: str of 53: [  1.      1.125   1.25  ... 192.625 192.75  192.875]
read_json, lists of 3: str of 18: [1.0, 1.125, 1.25]
read_parquet, arrays of 1536: ndarray
map_partitions: list
from_pandas, a column of pyarrow lists: list
from_pandas, convert-string false: ndarray
warnings that name text or strings: 0
EXPECTED
