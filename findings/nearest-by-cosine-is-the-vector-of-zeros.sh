#!/usr/bin/env bash
# Cosine with a vector of zeros is NaN in DuckDB, and NaN is the greatest number for DuckDB's and polars' sort and for
# polars' top_k: `ORDER BY array_cosine_similarity(v, ?) DESC LIMIT k` and max_by name the vectors of zeros first, for
# every question. max() of DuckDB is NaN, max() of polars is not. Ordered by distance, ascending, they come last.
# Hurts: who looks for neighbours, or near duplicates, in result files: empty texts of a model, or vectors that a
# quantizer rounded to nothing, are the nearest of all. OpenSearch refuses them (cosinesimil), files do not.
# Versions: duckdb 2.0.1, polars 2.1.0, Python 3.11. Seen on 2026-11-28.
# Guess: 0, NULL or an error, and NULLs and NaN last where the greatest are asked for.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 polars==2.1.0

seen=$("$folder/venv/bin/python" - <<'PYTHON'
import duckdb
import polars

duckdb.sql(
    "create table results as select * from (values ('zeros', [0, 0, 0]::FLOAT[3]), ('the same', [1, 0, 0]::FLOAT[3]), "
    "('another', [0, 1, 0]::FLOAT[3])) named(id, v)"
)
ask = "select id from results order by {} limit 3"
for order in (
    "array_cosine_similarity(v, [1, 0, 0]::FLOAT[3]) desc",
    "list_cosine_similarity(v::FLOAT[], [1, 0, 0]) desc",
    "array_cosine_distance(v, [1, 0, 0]::FLOAT[3])",
):
    print(f"duckdb, by {order}:", [row[0] for row in duckdb.sql(ask.format(order)).fetchall()])
best = "select max_by(id, array_cosine_similarity(v, [1, 0, 0]::FLOAT[3])) from results"
print("duckdb, max_by:", duckdb.sql(best).fetchall()[0][0])
scores = polars.DataFrame({"id": ["zeros", "the same", "another"], "score": [float("nan"), 1.0, 0.0]})
print("polars, sort:", scores.sort("score", descending=True)["id"].to_list())
print("polars, top_k:", scores.top_k(1, by="score")["id"].to_list(), "max:", scores["score"].max())
PYTHON
)
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
duckdb, by array_cosine_similarity(v, [1, 0, 0]::FLOAT[3]) desc: ['zeros', 'the same', 'another']
duckdb, by list_cosine_similarity(v::FLOAT[], [1, 0, 0]) desc: ['zeros', 'the same', 'another']
duckdb, by array_cosine_distance(v, [1, 0, 0]::FLOAT[3]): ['the same', 'another', 'zeros']
duckdb, max_by: zeros
polars, sort: ['zeros', 'the same', 'another']
polars, top_k: ['zeros'] max: 1.0
EXPECTED
