"""What an erasure does not remove, and why: said in each proof."""

from __future__ import annotations

from collections.abc import Iterator

from opensearch_batch.erase.looking import Looked
from opensearch_batch.erase.order import Order
from opensearch_batch.erase.proof import NotRemoved
from opensearch_batch.prepare.plan import counted
from opensearch_batch.reuse.record import ASKED_AT_ONCE, find
from opensearch_batch.reuse.whose import looking_once
from opensearch_batch.sources.columns import image_leaves_of

SHOWN = 5


def stays(order: Order, looked: Looked) -> Iterator[NotRemoved]:
    spec = order.every_run
    if spec.input.is_index:
        index = ", ".join(looked.indices.names) if looked.indices else ""
        yield NotRemoved(
            f"segments and snapshots of {index}",
            "OpenSearch keeps a deleted document on disk, where no search finds it, until segments merge: POST "
            f"/{index.replace(', ', ',')}/_forcemerge?only_expunge_deletes=true. Snapshots are the cluster's own",
        )
        for each in documents_in_doubt(looked):
            yield NotRemoved(each, "they may be others than those of the order: delete in the index what is meant")
        if looked.indices and looked.indices.made_beside is None:
            yield NotRemoved(
                f"indices that a change of the model may be filling beside {spec.input.uri}",
                "this user may not see all indices of such names: look with another, if there may be one",
            )
        if looked.indices and (strangers := looked.indices.strangers):
            more = ", …" if len(strangers) > SHOWN else ""
            yield NotRemoved(
                f"{', '.join(strangers[:SHOWN])}{more}, whose name fits {spec.input.uri}",
                f"{len(strangers)} indices that are no partition of the form {spec.input.partition_format} and that no "
                "manifest tells of: nobody has looked there. Where runs have read one, name it in indices",
            )
        if order.forget == "text" and (fields := image_leaves_of(spec)):
            yield NotRemoved(
                f"{', '.join(fields)} of the document, where its images are",
                "forget: text empties the fields of the text alone; empty these, or erase the document",
            )
    else:
        yield NotRemoved(
            spec.input.uri, "the input is the user's: a row that stays there is sent again by the next run"
        )
    for sidecar in looked.sidecars:
        yield NotRemoved(f"segments and snapshots of {sidecar.name}", "ids and hashes of texts, as in those above")
        if sidecar.hidden:
            yield NotRemoved(
                f"entries in {sidecar.name} of {', '.join(sidecar.hidden)}",
                "documents of the same ids in indices that this user may not see: theirs to erase",
            )
    yield from _others_with_the_text(looked)
    yield NotRemoved(
        "XComs of Airflow, and the page of a run, which shows them",
        "ids where rows failed, were missing, left, superseded or compared, by name, and the provider's words about "
        "the first failed rows, which may quote their texts. They go with their runs: delete these, or airflow db "
        "clean",
    )
    yield NotRemoved(
        "logs, conf and rendered fields of Airflow",
        "ids and words as above, and the ids in the request for this erasure. They go with Airflow's own clean-up "
        "(airflow db clean, the logs' retention)",
    )
    yield NotRemoved(
        "the job's own record at the provider, and its task in ML Commons", "ids of files, counts and states: no row"
    )
    yield NotRemoved(
        "temporary folders of killed tasks on the workers (opensearch-batch-* in TMPDIR)",
        "a killed preparation leaves its rows on its worker's disk, which no other machine reaches: remove them there",
    )
    yield NotRemoved(
        "backups, versions of objects, copies of results, the provider's own logs",
        "out of reach",
    )


def documents_in_doubt(looked: Looked) -> Iterator[str]:
    """Yield how many there are in each index; their ids stand in no proof."""
    for index, ids in sorted(looked.doubtful.items()):
        yield f"{counted(len(ids), 'document')} of {index}"


def _others_with_the_text(looked: Looked) -> Iterator[NotRemoved]:
    """Documents of the same text keep their own vectors: what they share is the hash of the text."""
    hashes = b"".join(sorted({bytes.fromhex(each) for each in looked.hashes})[:ASKED_AT_ONCE])
    own = {scanned.uri for folder in looked.folders for scanned in folder.with_rows}
    there = looking_once()
    found = [table for record in looked.records for table in find(record, hashes, is_there=there)] if hashes else []
    others = [uri for table in found for uri in table["uri"].to_pylist() if uri not in own]
    if others:
        shown = ", ".join(sorted(set(others))[:SHOWN])
        yield NotRemoved(
            f"{len(others)} vectors of the same texts in {shown}",
            "rows of other ids, or of another spec: the text is theirs too. Erase them by their own ids",
        )
