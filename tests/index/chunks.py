"""An index that takes chunks, and texts that are longer than one."""

from __future__ import annotations

from typing import Any

from tests.index.bench import FIELDS, PROVENANCE, VECTOR

CHUNKS: dict[str, Any] = {
    "type": "nested",
    "properties": {
        "text": {"type": "text"},
        "text_hash": {"type": "keyword"},
        "start": {"type": "integer"},
        "end": {"type": "integer"},
        "embedding": VECTOR,
    },
}
CHUNK_FIELDS = {**FIELDS, "chunks": CHUNKS, "chunks_provenance": PROVENANCE}


def essay(name: str, sentences: int = 10) -> str:
    """Two sentences make a chunk."""
    return " ".join(f"Sentence {n} of the essay {name} is about fifty long. " for n in range(sentences)).strip()


def essays(count: int) -> dict[str, dict[str, Any]]:
    return {f"e{n}": {"title": f"title {n}", "body": essay(f"e{n}")} for n in range(count)}
