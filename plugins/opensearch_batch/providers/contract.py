"""What a provider of another package lacks, by name: mypy, which tells of those here, does not see it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import cast

from opensearch_batch.errors import SpecError
from opensearch_batch.providers.protocol import Provider


def load(point: EntryPoint) -> Provider:
    """The provider behind an entry point.

    Raise SpecError where the import fails, where the module's NAME is another one, and for each missing member.
    """
    origin = f"provider {point.name!r} (entry point {point.value!r} of {_distribution(point)})"
    try:
        provider = point.load()
    except (ImportError, AttributeError) as error:
        raise SpecError(f"{origin} cannot be loaded: {type(error).__name__}: {error}") from error
    if lacks := missing(provider, Provider):
        raise SpecError(f"{origin} lacks {', '.join(lacks)}: opensearch_batch.providers.protocol has their meaning")
    if point.name != provider.NAME:
        raise SpecError(f"{origin} has the NAME {provider.NAME!r}: entry point and NAME must be the same")
    return cast("Provider", provider)


def missing(given: object, *protocols: type) -> list[str]:
    """Name the protocols' members that `given` lacks, and those of their methods that it cannot call."""
    return [name for protocol in protocols for name in members(protocol) if not _has(given, name, protocol)]


def members(protocol: type) -> Iterator[str]:
    """Public names that the protocol itself declares, in the order of its text."""
    return (name for name in vars(protocol) if not name.startswith("_"))


def _has(given: object, name: str, protocol: type) -> bool:
    is_method = not isinstance(vars(protocol)[name], property)
    return hasattr(given, name) and (callable(getattr(given, name)) or not is_method)


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
