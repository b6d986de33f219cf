"""Names: the key of a job, and the names of its input files, which come back in a provider's lists."""

from __future__ import annotations

import hashlib
import re

from opensearch_batch.flow.shards import Shard
from opensearch_batch.submit.admission import UPLOADS

FILE = re.compile(rf"({UPLOADS}[0-9a-f]{{32}})-a(\d+)\.jsonl")


def shard_key(run: str, shard: Shard) -> str:
    """Name a shard's job: the same rows in another run are another job, changed rows in the same run too."""
    return hash_key(run, shard.sha256)


def hash_key(run: str, content: str) -> str:
    """Hash the run and the content into an opaque key: the provider sees nothing else of a job's owner."""
    return UPLOADS + hashlib.sha256(f"{run}|{content}".encode()).hexdigest()[:32]


def file_name(key: str, attempt: int) -> str:
    return f"{key}-a{attempt}.jsonl"


def attempt_of(name: str) -> int:
    match = re.search(r"-a(\d+)\.jsonl$", name)
    return int(match[1]) if match else 0


def key_of(name: str) -> str | None:
    """Return the key in the name of an input file; None for a file that this package has not uploaded."""
    match = FILE.fullmatch(name)
    return match[1] if match else None
