"""Reused vectors at the end of a run: the rows that were not sent land beside the others, and what landed is kept for
later runs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from opensearch_batch.errors import BatchError
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.reuse.landed_lines import keep_landed
from opensearch_batch.reuse.whose import copied_name
from opensearch_batch.reuse_section import ReuseSection
from opensearch_batch.storage import ObjectWriter, open_binary

log = logging.getLogger(__name__)


def land_reused(plan: Plan, output_uri: str) -> DataFile | None:
    """Copy the results file of the preparation to the output; None without one. The same rows have the same name."""
    if not plan.reused:
        return None
    uri = f"{output_uri}/{copied_name(plan.run_key, plan.reused.sha256)}"
    with ObjectWriter(uri) as out, open_binary(plan.reused.uri) as lines:
        for line in lines:
            out.write(line)
        out.commit()
    return DataFile(uri, out.lines, out.bytes, out.sha256)


def keep_for_later(section: ReuseSection, files: Iterable[DataFile]) -> None:
    """Enter the vectors that landed into the record. A record that cannot be written costs a later run money, not this
    run its results.
    """
    try:
        kept = keep_landed(section.uri, files)
    except BatchError as error:
        log.warning("the vectors of this run are not kept for later ones: %s", error)
        return
    log.info("%d vectors are kept for later runs in %s", kept, section.uri)
