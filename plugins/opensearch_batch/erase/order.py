"""Order: what a person asks to have erased, and the deliberate words for what is in doubt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from opensearch_batch.erase.proof import Forget
from opensearch_batch.errors import SpecError
from opensearch_batch.spec import BatchSpec

ANY = "*"
"""For {partition} and {run_id}: every run of the spec."""

FOLDER = "erasures"

Unfinished = Literal["refuse", "cancel"]
Unknown = Literal["refuse", "keep", "delete"]


@dataclass(frozen=True)
class Order:
    """`run` names the proof. `ids` are row ids; with `query` also those of the documents that it finds.

    `unfinished`: runs with wanted rows that have not ended are refused, or their jobs cancelled and their files
    removed. `unknown`: files with a wanted id, of a run that nobody knows, are refused, kept, or deleted. `output_uris`
    and `indices` are further folders of results (globs) and indices.
    """

    spec: BatchSpec
    run: str
    ids: frozenset[str]
    query: Mapping[str, Any] | None = None
    forget: Forget = "document"
    dry_run: bool = True
    unfinished: Unfinished = "refuse"
    unknown: Unknown = "refuse"
    output_uris: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value, known in (
            ("forget", self.forget, ("document", "text")),
            ("unfinished", self.unfinished, ("refuse", "cancel")),
            ("unknown", self.unknown, ("refuse", "keep", "delete")),
        ):
            if value not in known:
                raise SpecError(f"{name} is {value!r}; it is one of {', '.join(known)}")
        if not self.ids and self.query is None:
            raise SpecError("nothing to erase: name ids, or give a query. Nothing was removed")
        if "" in self.ids:
            raise SpecError("an id is empty. Nothing was removed")

    @property
    def every_run(self) -> BatchSpec:
        """The spec with its addresses as globs."""
        return self.spec.resolve(partition=ANY, run_id=ANY)

    @property
    def folder(self) -> str:
        """The proofs' folder: beside the folders of runs, where output.uri has a placeholder, else in the only one."""
        parts = self.every_run.output.uri.rstrip("/").split("/")
        fixed = next((at for at, part in enumerate(parts) if ANY in part), len(parts))
        return "/".join([*parts[:fixed], FOLDER])

    @property
    def proof_uri(self) -> str:
        return f"{self.folder}/{self._name}.json"

    @property
    def journal_uri(self) -> str:
        """Ids and counts of an erasure under way; removed with its end."""
        return f"{self.folder}/{self._name}.begun.json"

    @property
    def _name(self) -> str:
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.run).strip(".-") or "by-hand"
