#!/usr/bin/env bash
# With drop_invalid_rows=True a pandera schema lets a polars frame pass whatever its columns are: one that lacks a
# column, has texts where numbers belong, an id twice under unique=["id"], or a column too many under strict=True comes
# back as it was, without an error, and the checks of such a column are not made: a score of 7.0 stays. Without the
# option each is SchemaErrors. With pandas they are so with the option too, but for the repeated id, whose rows are
# dropped. The documentation speaks of "data-level" errors alone that the option holds back.
# With coerce=True one value that can't be turned costs its row and leaves the column as text.
# Hurts: who sets a schema between a vendor's answers and the index and drops the bad rows: a night whose field was
# renamed, or is text, is valid to the last row. The same schema without the option, before, refuses the frame.
# Versions: pandera 0.35.0, polars 2.1.0, pandas 3.1.1, Python 3.11. Seen on 2026-11-29.
# Guess: rows are dropped, and what is wrong with a whole column is raised, with polars as with pandas.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandera==0.35.0 polars==2.1.0 pandas==3.1.1

seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import pandas as pd
import pandera.pandas
import pandera.polars
import polars as pl


def outcome(library, frame, drop, **options):
    of = pandera.polars if library is pl else pandera.pandas
    coerce = options.pop("coerce", False)
    columns = {"id": of.Column(str), "score": of.Column(float, of.Check.in_range(0, 1), coerce=coerce)}
    schema = of.DataFrameSchema(columns, drop_invalid_rows=drop, **options)
    try:
        valid = schema.validate(library.DataFrame(frame), lazy=True)
    except Exception as error:
        return type(error).__name__
    rows = valid.to_dicts() if library is pl else valid.to_dict("records")
    shown = " ".join(":".join(str(value) for value in row.values()) for row in rows)
    return f"{shown} (numbers)" if "score" in valid.columns and valid["score"].dtype in (float, pl.Float64) else shown


frames = {
    "right": ({"id": ["a", "b", "c"], "score": [0.1, 0.2, 0.3]}, {}),
    "one score above 1": ({"id": ["a", "b", "c"], "score": [0.1, 7.0, 0.3]}, {}),
    "no score": ({"id": ["a", "b", "c"], "scores": [0.1, 7.0, 0.3]}, {}),
    "scores as text": ({"id": ["a", "b", "c"], "score": ["0.1", "7.0", "0.3"]}, {}),
    "an id twice, unique": ({"id": ["a", "b", "a"], "score": [0.1, 0.2, 0.3]}, {"unique": ["id"]}),
    "a column more, strict": ({"id": ["a", "b", "c"], "score": [0.1, 0.2, 0.3], "x": [1, 2, 3]}, {"strict": True}),
    "text, coerce": ({"id": ["a", "b", "c"], "score": ["0.1", "0.2", "0.3"]}, {"coerce": True}),
    "text, one is no number, coerce": ({"id": ["a", "b", "c"], "score": ["0.1", "n/a", "0.3"]}, {"coerce": True}),
}
for name, (frame, options) in frames.items():
    for library in (pl, pd):
        kept = [outcome(library, frame, drop, **options) for drop in (False, True)]
        print(f"{name}, {library.__name__}: {kept[0]} | dropping: {kept[1]}")
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
right, polars: a:0.1 b:0.2 c:0.3 (numbers) | dropping: a:0.1 b:0.2 c:0.3 (numbers)
right, pandas: a:0.1 b:0.2 c:0.3 (numbers) | dropping: a:0.1 b:0.2 c:0.3 (numbers)
one score above 1, polars: SchemaErrors | dropping: a:0.1 c:0.3 (numbers)
one score above 1, pandas: SchemaErrors | dropping: a:0.1 c:0.3 (numbers)
no score, polars: SchemaErrors | dropping: a:0.1 b:7.0 c:0.3
no score, pandas: SchemaErrors | dropping: SchemaErrors
scores as text, polars: SchemaErrors | dropping: a:0.1 b:7.0 c:0.3
scores as text, pandas: SchemaErrors | dropping: SchemaErrors
an id twice, unique, polars: SchemaErrors | dropping: a:0.1 b:0.2 a:0.3 (numbers)
an id twice, unique, pandas: SchemaErrors | dropping: b:0.2 (numbers)
a column more, strict, polars: SchemaErrors | dropping: a:0.1:1 b:0.2:2 c:0.3:3 (numbers)
a column more, strict, pandas: SchemaErrors | dropping: SchemaErrors
text, coerce, polars: a:0.1 b:0.2 c:0.3 (numbers) | dropping: a:0.1 b:0.2 c:0.3 (numbers)
text, coerce, pandas: a:0.1 b:0.2 c:0.3 (numbers) | dropping: a:0.1 b:0.2 c:0.3 (numbers)
text, one is no number, coerce, polars: SchemaErrors | dropping: a:0.1 c:0.3
text, one is no number, coerce, pandas: SchemaErrors | dropping: SchemaErrors
EXPECTED
