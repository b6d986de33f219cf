"""Documents: which version of which document a row was read from, and which index that was."""

from __future__ import annotations

from opensearch_batch.flow.values import Value


class DocumentVersion(Value, frozen=True, kw_only=True, omit_defaults=True):
    """A document as it was read. `index` is the concrete index of the hit, never an alias. `had` is the text_hash that
    was noted in the document beside an earlier vector.
    """

    index: str
    id: str
    routing: str | None = None
    seq_no: int
    primary_term: int
    had: str | None = None


class IndexState(Value, frozen=True):
    """A concrete index at the moment of reading. `histories` are the shards' history UUIDs and `checkpoints` their
    global checkpoints, by the shard's number.

    A restore leaves `uuid` as it is and changes the histories; a new index under the same name changes both.
    """

    index: str
    uuid: str
    histories: dict[str, str]
    checkpoints: dict[str, int]

    def is_same_index(self, other: IndexState) -> bool:
        """Whether the sequence numbers of both count the same writes."""
        return (self.index, self.uuid, self.histories) == (other.index, other.uuid, other.histories)
