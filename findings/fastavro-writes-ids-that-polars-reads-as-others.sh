#!/usr/bin/env bash
# fastavro writes an id that is too large for the type "int" as it is, without an error, and reads it back so. polars
# reads the lower half of it: 4294967303 is 7, the id of another row, and 2147483648 is a negative number; no error there
# either. The type ["null", "int"] does raise ValueError (fastavro's issue 587 tells of that difference since 2022), and
# apache's avro raises for both. A score of 0.87 in an "int" or "long" is written as 0; the nullable type raises again.
# strict=True changes nothing.
# Hurts: who hands rows with ids of 64 bits (a hash, a snowflake, a bigserial grown past 2147483647) to another reader
# as Avro: results go to other rows' documents, and the writer's own test reads all ids right.
# validator=True refuses what does not fit, and "long" has room.
# Versions: fastavro 1.13.1, polars 2.1.0, avro 1.12.2, Python 3.11. Seen on 2026-11-29.
# Guess: an error where it is written, as for the nullable type, or one where it is read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet fastavro==1.13.1 polars==2.1.0 avro==1.12.2

seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PYTHON'
import io
import json

import avro.datafile
import avro.io
import avro.schema
import fastavro
import polars as pl


def record(**types):
    return {"type": "record", "name": "row", "fields": [{"name": name, "type": type_} for name, type_ in types.items()]}


def fast(schema, rows, **options):
    file = io.BytesIO()
    fastavro.writer(file, schema, rows, **options)
    return file.getvalue()


def apache(schema, rows):
    file = io.BytesIO()
    writer = avro.datafile.DataFileWriter(file, avro.io.DatumWriter(), avro.schema.parse(json.dumps(schema)))
    for row in rows:
        writer.append(row)
    writer.flush()
    return file.getvalue()


def show(name, write, column, *args, **options):
    try:
        content = write(*args, **options)
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
        return
    by_fastavro = [row[column] for row in fastavro.reader(io.BytesIO(content))]
    by_polars = pl.read_avro(io.BytesIO(content))[column].to_list()
    print(f"{name}: fastavro reads {by_fastavro}, polars {by_polars}")


rows = [{"id": 7, "text": "seven"}, {"id": 2**32 + 7, "text": "another"}, {"id": 2**31, "text": "a third"}]
show("int", fast, "id", record(id="int", text="string"), rows)
show("int, strict", fast, "id", record(id="int", text="string"), rows, strict=True)
show("int, validator", fast, "id", record(id="int", text="string"), rows, validator=True)
show("int by apache's avro", apache, "id", record(id="int", text="string"), rows)
show("null or int", fast, "id", record(id=["null", "int"], text="string"), rows)
show("null or int by apache's avro", apache, "id", record(id=["null", "int"], text="string"), rows)
show("long", fast, "id", record(id="long", text="string"), rows)

content = fast(record(id="int", text="string"), rows)
texts = {row["id"]: row["text"] for row in pl.read_avro(io.BytesIO(content)).to_dicts()}
print(f"the text of id 7, read by polars: {texts[7]}")

scores = [{"score": 1}, {"score": 0.87}]
for name, type_ in (("int", "int"), ("long", "long"), ("null or long", ["null", "long"])):
    show(f"scores, {name}", fast, "score", record(score=type_), scores)
show("scores, long, validator", fast, "score", record(score="long"), scores, validator=True)
PYTHON
) || { cat "$folder/log"; exit 1; }
echo "$seen"
diff <(echo "$seen") - <<'EXPECTED'
int: fastavro reads [7, 4294967303, 2147483648], polars [7, 7, -2147483648]
int, strict: fastavro reads [7, 4294967303, 2147483648], polars [7, 7, -2147483648]
int, validator: ValidationError
int by apache's avro: AvroTypeException
null or int: ValueError
null or int by apache's avro: AvroTypeException
long: fastavro reads [7, 4294967303, 2147483648], polars [7, 4294967303, 2147483648]
the text of id 7, read by polars: another
scores, int: fastavro reads [1, 0], polars [1, 0]
scores, long: fastavro reads [1, 0], polars [1, 0]
scores, null or long: ValueError
scores, long, validator: ValidationError
EXPECTED
