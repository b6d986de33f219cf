"""Avro parts of a dataset, as https://docs.cohere.com/v2/docs/datasets has them: written and read as a stream.

The schema of real results is not published; this one is what the SDK's reader and the documentation's examples fit:
`text`, the fields that were kept, and `embeddings` with a list for each type.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ROWS_A_PART = 2000
ANY_VALUE = ["null", "string", "boolean", "long", "double"]


def schema(kept: list[str], *, with_embeddings: bool, nullable: bool = False) -> dict[str, Any]:
    fields: list[dict[str, Any]] = [{"name": "text", "type": "string"}]
    fields += [{"name": name, "type": ANY_VALUE, "default": None} for name in kept]
    if with_embeddings:
        lists = {"type": "array", "items": ["float", "null"] if nullable else "float"}
        record = {"type": "record", "name": "embeddings", "fields": [{"name": "float", "type": lists}]}
        fields.append({"name": "embeddings", "type": record})
    return {"type": "record", "name": "row", "fields": fields}


def write(
    folder: Path,
    dataset_id: str,
    rows: Iterable[dict[str, Any]],
    kept: list[str],
    *,
    embedded: bool,
    nullable: bool = False,
) -> Made:
    """Whole files under names that only this dataset has."""
    import fastavro

    said = schema(kept, with_embeddings=embedded, nullable=nullable)
    made: list[dict[str, Any]] = []
    source = iter(rows)
    while some := list(itertools.islice(source, ROWS_A_PART)):
        name = f"cohere-{dataset_id}-{len(made)}.avro"
        partial = folder / f"{name}.partial"
        with partial.open("wb") as out:
            fastavro.writer(out, fastavro.parse_schema(said), some, codec="null")
        partial.replace(folder / name)
        made.append({"file": name, "num_rows": len(some), "size_bytes": (folder / name).stat().st_size})
    return json.dumps(said), made


def read(folder: Path, parts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    import fastavro

    for part in parts:
        with (folder / part["file"]).open("rb") as source:
            yield from fastavro.reader(source)  # type: ignore[misc]


Made = tuple[str, list[dict[str, Any]]]
"""The schema as text, and the parts in order."""
