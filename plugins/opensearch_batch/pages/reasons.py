"""Why rows of a run failed: by code, with the vendor's words. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from opensearch_batch.pages.shards import ShardSeen
from opensearch_batch.pages.told_run import ToldExample, ToldReport


@dataclass(frozen=True)
class Reason:
    """Rows that failed for a reason, how often rows with the reason were sent again, and the vendor's words on some."""

    code: str
    rows: int
    again: int
    examples: Sequence[ToldExample]


def reasons_of(shards: Sequence[ShardSeen], report: ToldReport | None) -> list[Reason]:
    """Return the reasons of failed rows, most rows first. The report, where there is one, has the rows whose repair
    round never landed too.
    """
    rows = report.codes if report else _added(seen.codes for seen in shards)
    again = report.passing if report else _added(seen.passing for seen in shards)
    words: dict[str, dict[str, ToldExample]] = {}
    for example in [*(report.examples if report else ()), *(one for seen in shards for one in seen.examples)]:
        words.setdefault(example.code, {}).setdefault(example.id, example)
    found = [
        Reason(code, rows.get(code, 0), again.get(code, 0), [*words.get(code, {}).values()])
        for code in {**rows, **again, **words}
    ]
    return sorted(found, key=lambda code: (-code.rows, -code.again, code.code))


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for code, rows in count.items():
            total[code] = total.get(code, 0) + rows
    return total
