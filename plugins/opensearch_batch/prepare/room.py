"""Room: what an index's vectors will take against what the cluster has. Figures in, refusals out; no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opensearch_batch.cluster.room import BREAKER, FLOOD_STAGE, LIMIT, READ_ONLY, WATCHED, DataNode, IndexSize
from opensearch_batch.prepare.graphs import VectorField

UNITS = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
DEFAULT_LIMIT, DEFAULT_FLOOD_STAGE = "50%", "95%"
"""https://docs.opensearch.org/latest/vector-search/settings/ and
https://docs.opensearch.org/latest/install-and-configure/configuring-opensearch/cluster-settings/."""


@dataclass(frozen=True)
class Needed:
    """An index with its vector field; `vectors` it will have, of which `written` are written by this run."""

    index: str
    vector: VectorField
    size: IndexSize
    shards: int
    copies: int
    written: int
    is_derived: bool

    @property
    def vectors(self) -> int:
        return max(self.size.documents, self.written)


@dataclass(frozen=True)
class Room:
    """What a cluster tells; None is what this user may not ask for. `graphs` are bytes in memory by index."""

    nodes: Sequence[DataNode] | None
    settings: Mapping[str, Any] | None
    graphs: Mapping[str, int] | None = field(default=None)


def lacking(needed: Sequence[Needed], room: Room) -> Iterator[str]:
    """Yield what is in the way, each with figures and what to do."""
    settings = room.settings or {}
    if settings.get(READ_ONLY) == "true":
        line = f'PUT _cluster/settings {{"persistent": {{"{READ_ONLY}": null}}, "transient": {{"{READ_ONLY}": null}}}}'
        yield f"the cluster is read-only ({READ_ONLY}): {line} lifts the block"
    if room.nodes is None:
        return
    yield from _graphs_too_large(needed, room, room.nodes, settings)
    yield from _disk_too_small(needed, room.nodes, settings)


def words_of(needed: Needed) -> str:
    """What is known of an index's vectors, for the log."""
    vector, memory = needed.vector, needed.vector.memory(needed.vectors)
    if memory is None:
        return f"{needed.index}: no formula is known for the memory of this encoder"
    where = "below k-NN's limit" if vector.is_native else "files of Lucene, best in memory beside the heap"
    total = shown(memory * needed.copies)
    return f"{needed.index}: graphs of {needed.vectors} vectors × {vector.dimension} take about {total}, {where}"


def _graphs_too_large(
    needed: Sequence[Needed], room: Room, nodes: Sequence[DataNode], settings: Mapping[str, Any]
) -> Iterator[str]:
    if settings.get(BREAKER) == "false":
        return
    limit = str(settings.get(LIMIT, DEFAULT_LIMIT))
    ours = {each.index for each in needed}
    others = sum(size for index, size in (room.graphs or {}).items() if index not in ours)
    for each in needed:
        memory = each.vector.memory(each.vectors)
        if memory is None or not each.vector.is_native:
            continue
        holding = sorted((graph_limit(node, limit) for node in nodes), reverse=True)[: each.shards * each.copies]
        if memory * each.copies + others > sum(holding):
            yield (
                f"{each.index}: the graphs of {each.vectors} vectors × {each.vector.dimension} ({each.vector.engine}, "
                f"m {each.vector.m}, {each.copies} copies) take about {shown(memory * each.copies)} in memory, other "
                f"indices have {shown(others)} there, and k-NN may keep {shown(sum(holding))} on {len(holding)} nodes "
                f"({LIMIT} {limit}): searches would load graphs from disk again and again. Raise it: PUT "
                f'_cluster/settings {{"persistent": {{"{LIMIT}": "75%"}}}}; or make an index with compression_level, '
                "or engine lucene"
            )


def _disk_too_small(needed: Sequence[Needed], nodes: Sequence[DataNode], settings: Mapping[str, Any]) -> Iterator[str]:
    stage = str(settings.get(FLOOD_STAGE, DEFAULT_FLOOD_STAGE)) if settings.get(WATCHED, "true") == "true" else "100%"
    free = sum(free_until(node, stage) for node in nodes)
    taken = sum(_on_disk(each) for each in needed)
    if taken > free:
        names = ", ".join(each.index for each in needed)
        yield (
            f"{names}: {sum(each.written for each in needed)} vectors, and their documents written again, take about "
            f"{shown(taken)} on disk, and the data nodes have {shown(free)} free until {FLOOD_STAGE} ({stage}), where "
            "OpenSearch blocks all writes. Free disk, add a node, or in place send less in a run (input.max_records)"
        )


def _on_disk(each: Needed) -> int:
    """An update writes the whole document again, once for all of its vectors; the old version goes with a merge."""
    document = each.size.stored // max(1, each.size.documents * each.copies)
    vectors = each.vector.disk(1, is_derived=each.is_derived) * each.written
    return (vectors + document * min(each.written, each.size.documents)) * each.copies


def graph_limit(node: DataNode, limit: str) -> int:
    """Return the bytes of graphs that k-NN keeps on a node: a share of the memory beside the heap, or bytes."""
    if limit.endswith("%"):
        return int((node.memory - node.heap) * float(limit[:-1]) / 100)
    return in_bytes(limit)


def free_until(node: DataNode, stage: str) -> int:
    """Return the bytes a disk takes until it is used to this share ("95%", "0.95"), or has so many bytes left."""
    if stage.endswith("%"):
        kept = node.disk * (1 - float(stage[:-1]) / 100)
    elif re.fullmatch(r"[\d.]+", stage):
        kept = node.disk * (1 - float(stage))
    else:
        kept = in_bytes(stage)
    return max(0, int(node.available - kept))


def in_bytes(text: str) -> int:
    """Return the bytes of a size as OpenSearch writes sizes, e.g. 10gb."""
    found = re.fullmatch(r"([\d.]+)\s*([bkmgtp])b?", text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is no size")
    return int(float(found[1]) * 1024 ** UNITS[found[2]])


def shown(size: int) -> str:
    """Bytes for people: 12.3 GiB."""
    value, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
