"""Objects by URI on any storage known to Airflow: file:///path, s3://connection@bucket/key, …

A written object exists whole or not at all. Example:

    with ObjectWriter("s3://aws_default@bucket/rows.jsonl") as out:
        out.write(orjson.dumps({"id": "1"}, option=orjson.OPT_APPEND_NEWLINE))
        out.commit()
    for line in read_lines("s3://aws_default@bucket/rows.jsonl"):
        print(line, orjson.loads(line.raw))

Errors: InputError for a text that is no URI and for reading an absent object, SpecError for a scheme without an
installed provider of Airflow, Refused without the right and for a name that nothing can have, else Unavailable.
"""

from __future__ import annotations

from opensearch_batch.storage.address import connect
from opensearch_batch.storage.lines import SourceLine, lines_of, read_lines
from opensearch_batch.storage.objects import (
    READ_BYTES,
    begin_of,
    exists,
    matches,
    names_in,
    open_binary,
    remove,
    remove_begun,
    size_of,
)
from opensearch_batch.storage.writing import ObjectWriter, try_writing, write_object

__all__ = [
    "READ_BYTES",
    "ObjectWriter",
    "SourceLine",
    "begin_of",
    "connect",
    "exists",
    "lines_of",
    "matches",
    "names_in",
    "open_binary",
    "read_lines",
    "remove",
    "remove_begun",
    "size_of",
    "try_writing",
    "write_object",
]
