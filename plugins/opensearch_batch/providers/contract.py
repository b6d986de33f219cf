"""A provider of another package is held to the protocols when loaded: mypy checks the modules of this package only."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import cast

from opensearch_batch.errors import SpecError
from opensearch_batch.providers.protocol import Provider


def load(point: EntryPoint) -> Provider:
    """Load the provider of an entry point.

    Raise SpecError, naming entry point and distribution, where the import fails, where members are missing (the error
    names all), and where the module's NAME is not the entry point's name.
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
    """Return the names of protocol members absent from `given`, and of methods for which `given` has no function."""
    return [name for protocol in protocols for name in members(protocol) if not _has(given, name, protocol)]


def members(protocol: type) -> Iterator[str]:
    """Yield the public names declared by the protocol, in the order of the text."""
    return (name for name in vars(protocol) if not name.startswith("_"))


def _has(given: object, name: str, protocol: type) -> bool:
    is_method = not isinstance(vars(protocol)[name], property)
    return hasattr(given, name) and (callable(getattr(given, name)) or not is_method)


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
