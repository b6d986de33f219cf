#!/usr/bin/env bash
# Products of int8 vectors in polars are int8 again and wrap without a word: 100 x 100 is 16. The sum after that is an
# int64, so the dot product looks right in type and size. DuckDB and numpy with a cast agree on the real value.
# Hurts: who ranks vectors that a vendor returns as int8 (Cohere's embedding_types, OpenSearch's data_type byte): the
# neighbours are noise, and no value is out of its range.
# Versions: polars 2.1.0, duckdb 2.0.1, numpy 2.4.6, Python 3.11. Seen on 2026-11-28.
# Guess: a product in a wider type, as polars' own sum has, or an overflow error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet polars==2.1.0 duckdb==2.0.1 numpy==2.4.6

seen=$("$folder/venv/bin/python" - <<'PYTHON'
import duckdb
import numpy
import polars

int8 = polars.Array(polars.Int8, 3)
question = [100, 0, 0]
rows = {"the same": [100, 0, 0], "close": [90, 10, 0], "another": [0, 1, 100], "opposite": [-100, 0, 0]}
frame = polars.DataFrame({"id": list(rows), "v": polars.Series(list(rows.values()), dtype=int8)})
asked = polars.lit(polars.Series([question], dtype=int8))
ranked = frame.with_columns(dot=(polars.col("v") * asked).arr.sum()).sort("dot", descending=True)
print("polars:", list(ranked.select("id", "dot").iter_rows()), ranked.schema["dot"])
wide = polars.Array(polars.Int32, 3)
ranked = frame.with_columns(dot=(polars.col("v").cast(wide) * asked.cast(wide)).arr.sum()).sort("dot", descending=True)
print("polars, cast to int32:", list(ranked.select("id", "dot").iter_rows()))
matrix = numpy.array(list(rows.values()), dtype=numpy.int32)
print("numpy, int32:", (matrix @ numpy.array(question, dtype=numpy.int32)).tolist())
tinyint = [f"list_dot_product({row}::TINYINT[], {question}::TINYINT[])" for row in rows.values()]
print("duckdb:", duckdb.sql(f"select {', '.join(tinyint)}").fetchall()[0])
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
polars: [('close', 40), ('the same', 16), ('another', 0), ('opposite', -16)] Int64
polars, cast to int32: [('the same', 10000), ('close', 9000), ('another', 0), ('opposite', -10000)]
numpy, int32: [10000, 9000, 0, -10000]
duckdb: (10000.0, 9000.0, 0.0, -10000.0)
EXPECTED
