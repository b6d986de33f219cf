"""A database on this machine's disk for what a task compares or looks up: memory does not grow with the data."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager


@contextmanager
def temporary_database() -> Generator[sqlite3.Connection, None, None]:
    """Yield an empty database, in one transaction, with at most 8 MB in memory; it is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="opensearch-batch-") as folder,
        closing(sqlite3.connect(f"{folder}/rows", isolation_level=None)) as db,
    ):
        db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;")
        db.execute("BEGIN")
        yield db
