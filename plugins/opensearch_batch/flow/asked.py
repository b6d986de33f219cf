"""Asked: the kind of answer that a shard's requests ask for."""

from __future__ import annotations

from opensearch_batch.flow.values import Value


class Asked(Value, frozen=True):
    """`vectors`: True for vectors, False for texts, None where the request does not tell. `dimensions` is the length of
    the vectors named in the request; None leaves the length to the model.
    """

    vectors: bool | None = None
    dimensions: int | None = None


def vectors_of(parameter: object) -> Asked:
    """Vectors, of the length in a request's parameter; a parameter without a whole number leaves the length open."""
    whole = isinstance(parameter, int) and not isinstance(parameter, bool) and parameter > 0
    return Asked(True, parameter if whole else None)  # type: ignore[arg-type]


TEXTS = Asked(False)
