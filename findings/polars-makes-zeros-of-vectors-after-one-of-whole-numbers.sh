#!/usr/bin/env bash
# polars.DataFrame of a dict takes the type of a column of lists from its first list. Is that one of whole numbers, such
# as the [0, 0, 0, 0] of an empty text, all vectors after it lose what stands behind the point: [0.5, -0.7, …] is stored
# as [0, 0, …]. No error, although strict is the default, and promises one for each value of another type. Single numbers
# do raise TypeError. Lists of dicts and read_json have a look at 100
# rows and then do the same.
# Hurts: who builds the nightly frame from the vendor's JSON: JSON writers leave out ".0", so a first vector of zeros or
# ones makes a column of int64; the vectors of the whole corpus are paid for and land as zeros. read_ndjson refuses.
# Versions: polars 2.1.0, pyarrow 26.0.1, Python 3.11. Seen on 2026-11-29.
# Guess: a column of floats, as pyarrow makes of it, or the TypeError of single numbers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet polars==2.1.0 pyarrow==26.0.1

seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import io
import json

import polars
import pyarrow

vectors = [[0, 0, 0, 0], [0.5, -0.7, 0.25, -0.45], [-0.1, 0.9, 0.3, -0.2]]
rows = [{"v": vector} for vector in vectors]
late = [{"v": vectors[0]}] * 100 + rows
lists = polars.List(polars.Float64)


def show(name, make):
    try:
        made = make()
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
        return
    numbers = [round(number, 6) for number in made.tail(1).to_list()[0]]
    print(f"{name}: {made.dtype}, the last is {numbers}")


show("a dict", lambda: polars.DataFrame({"v": vectors})["v"])
show("a dict, strict", lambda: polars.DataFrame({"v": vectors}, strict=True)["v"])
show("a Series", lambda: polars.Series(vectors))
show("a list of 3 dicts", lambda: polars.DataFrame(rows)["v"])
show("a list of 103 dicts", lambda: polars.DataFrame(late)["v"])
show("from_dicts of 103", lambda: polars.from_dicts(late)["v"])
show("read_json of 103", lambda: polars.read_json(io.StringIO(json.dumps(late)))["v"])
show("read_ndjson of 103", lambda: polars.read_ndjson(io.StringIO("\n".join(map(json.dumps, late))))["v"])
show("single numbers", lambda: polars.DataFrame({"v": [0, 0.5]})["v"])
show("a dict, with a schema", lambda: polars.DataFrame({"v": vectors}, schema={"v": lists})["v"])
show("a dict, strict=False", lambda: polars.DataFrame({"v": vectors}, strict=False)["v"])
show("pyarrow", lambda: polars.from_arrow(pyarrow.array(vectors)))
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
a dict: List(Int64), the last is [0, 0, 0, 0]
a dict, strict: List(Int64), the last is [0, 0, 0, 0]
a Series: List(Int64), the last is [0, 0, 0, 0]
a list of 3 dicts: List(Float64), the last is [-0.1, 0.9, 0.3, -0.2]
a list of 103 dicts: List(Int64), the last is [0, 0, 0, 0]
from_dicts of 103: List(Int64), the last is [0, 0, 0, 0]
read_json of 103: List(Int64), the last is [0, 0, 0, 0]
read_ndjson of 103: ComputeError
single numbers: TypeError
a dict, with a schema: List(Float64), the last is [-0.1, 0.9, 0.3, -0.2]
a dict, strict=False: List(Float64), the last is [-0.1, 0.9, 0.3, -0.2]
pyarrow: List(Float64), the last is [-0.1, 0.9, 0.3, -0.2]
EXPECTED
