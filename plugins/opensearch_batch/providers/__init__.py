"""The vendors this package knows. Adding one: a file beside this one, and its module in PROVIDERS."""

from __future__ import annotations

from difflib import get_close_matches
from typing import cast

from opensearch_batch.errors import SpecError
from opensearch_batch.providers import openai
from opensearch_batch.providers.protocol import Provider

PROVIDERS: tuple[Provider, ...] = (cast("Provider", openai),)
DEFAULT = PROVIDERS[0]


def get(name: str) -> Provider:
    """Raise SpecError, naming the nearest known provider, for a name that is not one."""
    known = {provider.NAME: provider for provider in PROVIDERS}
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        raise SpecError(f"unknown provider {name!r}; {hint}")
    return known[name]
