"""The vendors this package knows, and those of other packages.

Adding one here: a file beside this one, and its module in PROVIDERS. One in a package of its own is an entry point of
the group `opensearch_batch.providers`: its name is the provider's NAME, its object a module like those here.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import entry_points

from opensearch_batch.errors import SpecError
from opensearch_batch.providers.bedrock import provider as bedrock_provider
from opensearch_batch.providers.cohere import provider as cohere_provider
from opensearch_batch.providers.contract import load
from opensearch_batch.providers.openai import provider as openai_provider
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.sagemaker import provider as sagemaker_provider

# From a list: of a module in there mypy names the members that are missing, of one in a tuple it does not.
PROVIDERS = tuple[Provider, ...]([openai_provider, sagemaker_provider, bedrock_provider, cohere_provider])
DEFAULT = PROVIDERS[0]
ENTRY_POINTS = "opensearch_batch.providers"


def get(name: str) -> Provider:
    """Raise SpecError, naming the nearest known provider, for a name that is not one."""
    known = {provider.NAME: provider for provider in PROVIDERS}
    if name in known:
        return known[name]
    added = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in added:
        return load(added[name])
    names = sorted({*known, *added})  # the wheel has entry points for those of PROVIDERS too
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    raise SpecError(f"unknown provider {name!r}; {hint}")
