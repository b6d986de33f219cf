"""Bad rows at the end of a run: the rows that the preparation skipped become failures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import orjson

from opensearch_batch.flow.landed import Landed
from opensearch_batch.land.reconcile import Failure, Left, Tally
from opensearch_batch.land.tag import tag_of
from opensearch_batch.prepare.preparation import BAD_ROWS_FILE
from opensearch_batch.sinks.jsonl import JsonLines
from opensearch_batch.storage import exists, open_binary


def land_bad_rows(uris: Sequence[str], output_uri: str, run_key: str) -> Left | None:
    """Write the bad rows of the files `uris` as failures; None without a bad row. The same rows have the same name."""
    tally = Tally()
    with JsonLines(f"{output_uri}/failures-{run_key}-bad-rows-{tag_of(uris=uris)}.jsonl") as out:
        for row in _rows(uris):
            tally.fail(Failure(row["id"] or row["source"], row["code"], row["message"]))
            out.add_line(row)
        entry = out.commit()
    return Left(tally, entry) if entry else None


def bad_rows_beside(landed: Iterable[Landed]) -> list[str]:
    """Return the files of bad rows in the folders of the shards, for a run without a plan."""
    shards = [part.job.shard for part in landed if part.job.shard]
    uris = {f"{shard.uri.rsplit('/', 1)[0]}/{BAD_ROWS_FILE}" for shard in shards}
    return sorted(filter(exists, uris))


def _rows(uris: Sequence[str]) -> Iterator[dict[str, str]]:
    for uri in uris:
        with open_binary(uri) as lines:
            yield from map(orjson.loads, lines)
