"""How the nouns of the flow travel between tasks: frozen dataclasses as plain JSON dicts, unknown keys refused."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

from opensearch_batch.errors import UnknownAnswer


class Value:
    """Mixin for frozen dataclasses whose fields are JSON values; what is nested stays a dict."""

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Raise UnknownAnswer when a key is missing or unknown: an XCom of another version, or not one of ours."""
        fields = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if not isinstance(values, dict) or (unknown := set(values) - fields):
            what = sorted(unknown) if isinstance(values, dict) else type(values).__name__
            raise UnknownAnswer(f"{cls.__name__}: unknown {what}; written by another version? Clear the upstream task.")
        try:
            return cls(**values)
        except TypeError as error:
            raise UnknownAnswer(
                f"{cls.__name__}: {error}; written by another version? Clear the upstream task."
            ) from error
