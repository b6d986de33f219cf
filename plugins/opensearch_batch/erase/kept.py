"""Indices that a spec's runs have made and left beside an alias: they have the documents too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from opensearch_batch.cluster.described import Send, described
from opensearch_batch.land.manifest import Manifest
from opensearch_batch.sources.index_rows import SCHEME, address_of


def kept_indices(manifests: Iterable[Manifest], connection: str, send: Send) -> list[str]:
    """Return the indices of swaps, and of changes that were given up, by the manifests; those that are still there."""
    names = {name for manifest in manifests for name in _named(manifest, connection)}
    return [name for name in sorted(names) if name in described(send, name)]


def _named(manifest: Manifest, connection: str) -> Iterator[str]:
    spec: dict[str, Any] = manifest.spec
    uri = str(spec.get("input", {}).get("uri", ""))
    if (spec.get("write_back") or {}).get("mode") != "beside" or not uri.startswith(SCHEME):
        return
    at, filled = address_of(uri)
    if at != connection:
        return
    yield filled
    if swapped := manifest.report.swapped:
        yield from {swapped.index, swapped.kept, *swapped.older} - {*swapped.removed}
