"""Value: the base of the nouns, which travel between tasks as plain JSON dicts and are checked at reading."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from opensearch_batch.errors import UnknownAnswer


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the nouns; a noun inside a noun is a dict inside a dict."""

    def to_dict(self) -> dict[str, Any]:
        """Return the noun as JSON values, fields in the order of the class. The task state store refuses a tuple."""
        return msgspec.json.decode(msgspec.json.encode(self))  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Raise UnknownAnswer for a missing key, an unknown key or a wrong type, and name the path."""
        if not isinstance(values, dict):
            raise _unknown(cls, type(values).__name__)
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise _unknown(cls, str(error)) from error


def _unknown(noun: type, what: str) -> UnknownAnswer:
    return UnknownAnswer(
        f"{noun.__name__}: unknown value: {what}; written by another version? Clear the upstream task."
    )
