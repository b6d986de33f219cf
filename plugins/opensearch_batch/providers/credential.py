"""The credential of a connector body: names, never keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearch_batch.errors import SpecError


def refuse_literal_credential(names: Mapping[str, Any]) -> None:
    """Raise SpecError for a key written into the body: everybody with the DAG could read the key."""
    for name, value in names.items():
        if value and not str(value).startswith(("<", "${")):
            raise SpecError(
                f"credential {name!r} is written into the connector body; keys come from a connection: "
                "put a <placeholder> there"
            )
