"""Parameters: the names in model.parameters against the names known to the vendor."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.model_section import ModelSection
from opensearch_batch.providers.store import store_class

MISTYPED = 0.85
"""So alike are `dimension` and `dimensions`; `top_k` and `top_p`, both known to some servers, are less."""


def unknown_parameters(model: ModelSection) -> list[str]:
    """Return the parameters that the vendor does not know, and a compatible server may. Raise SpecError for a name that
    is nearly a known one, and for a length of vectors that the vendor's batches do not take.
    """
    vendor = providers.get(model.provider)
    vendor.asked(model.name, model.endpoint, model.parameters)
    known = store_class(vendor).parameters(model.name, model.endpoint)
    return unknown(model.parameters, known)


def unknown(given: Iterable[str], known: Collection[str]) -> list[str]:
    """Likewise; where nothing is known nothing is unknown."""
    strange = [name for name in given if known and name not in known]
    near = {name: found[0] for name in strange if (found := get_close_matches(name, known, n=1, cutoff=MISTYPED))}
    if near:
        said = "; ".join(f"unknown parameter {name!r}, did you mean {meant!r}?" for name, meant in near.items())
        raise SpecError(f"model.parameters: {said}")
    return strange
