"""Erasure: look everywhere, remove, look again, and write down what was seen.

A journal keeps ids and counts from before the first removal, so that a try after a kill erases the same, whatever the
query finds by then. Places that tell of others go last: a results file tells which files at the provider have its rows.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeVar

import msgspec
import orjson

from opensearch_batch.erase.indexed import ids_of
from opensearch_batch.erase.left_ids import forget_left
from opensearch_batch.erase.looking import Looked, OpenStore, look, manifests_of, named
from opensearch_batch.erase.order import Order
from opensearch_batch.erase.outputs import moved_by
from opensearch_batch.erase.proof import BEGUN, NotRemoved, Place, Proof, compared, hashed_id
from opensearch_batch.erase.provider_files import cancel_running, remove_files, still_there
from opensearch_batch.erase.stays import documents_in_doubt, stays
from opensearch_batch.errors import InputError, NoSuchObject, Refused, Terminal, Unavailable
from opensearch_batch.flow.values import Value
from opensearch_batch.reuse.moved import move_entries
from opensearch_batch.storage import open_binary, remove, size_of, write_object

log = logging.getLogger(__name__)

NAMED = 20
MEANWHILE = "a run that began meanwhile"
V = TypeVar("V", bound=Value)


class Journal(Value, frozen=True):
    """An erasure under way. `places` are those of its first look."""

    began_at: str
    forget: str
    ids: list[str]
    hashes: list[str]
    places: list[Place]


def erase(order: Order, open_store: OpenStore) -> Proof:
    """Erase what the order names, or with `dry_run` only say what would be; return the proof, which stands at
    `order.proof_uri` then. Repeating is safe.

    Raise Refused for rows in runs that have not ended, or of nobody's, before anything is removed. Raise Terminal where
    a second look finds rows. Raise Unavailable until cancelled jobs have ended, and where a run or a clean-up has
    removed a file that was listed: only a new look tells what it has put in its place.
    """
    try:
        return _erased(order, open_store)
    except NoSuchObject as error:
        raise Unavailable(f"{error}; it is gone since it was listed. The next try lists anew") from error


def _erased(order: Order, open_store: OpenStore) -> Proof:
    journal = None if order.dry_run else _read(order.journal_uri, Journal)
    earlier = _earlier(order)
    began_at = journal.began_at if journal else _now()
    ids = _ids(order, journal)
    looked = look(order, ids, open_store, *((journal.hashes, journal.places) if journal else ()))
    log.info("%d ids, %d places looked at", len(ids), len(looked.places))
    if earlier and not journal and not any(place.found for place in looked.places):
        log.info("erased before, and nothing has come back: %s", order.proof_uri)
        return earlier
    if order.dry_run:
        proof = _proof(order, looked, began_at, compared(looked.places, ()), "planned")
        write_object(order.proof_uri, _json(proof))
        return proof
    if doubtful := list(doubts(order, looked)):
        raise Refused(f"{'; '.join(doubtful)}. Nothing was removed")
    before = journal.places if journal else earlier.places if earlier else []
    begun = Journal(began_at, order.forget, sorted(ids), sorted(looked.hashes), compared(looked.places, (), before))
    write_object(order.journal_uri, _json(begun))
    _remove(order, looked)
    again = look(order, ids, open_store, looked.hashes)
    left = [*again.places, *(place for store, files in looked.at_provider for place in still_there(store, files))]
    known = {place.at for place in looked.places}
    left = [
        place for place in left if not _is_kept(order, place, again) and (place.note != BEGUN or place.at in known)
    ]  # what another run has begun meanwhile is its own
    left += [Place("work file", each.uri, 0, 1, note=MEANWHILE) for each in again.unfinished]
    left += [Place("index", each.name, 0, 1, note=MEANWHILE) for each in again.unfinished_indices]
    places = compared(looked.places, left, before)
    proof = _proof(order, looked, began_at, places, "left" if any(place.left for place in places) else "erased")
    write_object(order.proof_uri, _json(proof))
    if proof.left:
        first = next(place for place in proof.places if place.left)
        raise Terminal(
            f"a second look found {proof.left} rows, the first in {first.kind} {first.at}: something has written them "
            f"meanwhile. {order.proof_uri} has all. Clear this task once no run of {order.spec.name} is under way"
        )
    remove(order.journal_uri)
    return proof


def _ids(order: Order, journal: Journal | None) -> frozenset[str]:
    if journal is None:
        if order.query is None:
            return order.ids
        return order.ids | ids_of(order, [each for _, each in named(manifests_of(order))])
    if journal.forget != order.forget or not order.ids <= set(journal.ids):
        raise InputError(
            f"{order.journal_uri} is of another erasure, which has not ended: repeat that one, or take another name"
        )
    return frozenset(journal.ids)


def doubts(order: Order, looked: Looked) -> Iterator[str]:
    """Yield what needs a deliberate word before anything is removed."""
    runs = [f"run {each.run}" for each in looked.unfinished]
    runs += [f"job {job.id}" for each in looked.provider_files if each.found and each.sure for job in each.running]
    if order.unfinished == "refuse" and runs:
        yield (
            f"{', '.join(runs)} of {order.spec.name}: not ended, and landing would bring these rows back. Wait for the "
            "end; or say unfinished: cancel: jobs are cancelled and files removed, and these runs fail"
        )
    if order.unfinished == "refuse":
        for made in looked.unfinished_indices:
            yield (
                f"index {made.name}, which {made.run} has made beside alias {made.alias}: not ended, and it has these "
                "documents or may get them from the copy. Wait for the end; or, where the run was given up, DELETE "
                f"{made.name}; or say unfinished: cancel: it is deleted, and the run fails"
            )
    nobodys = [each.uri for each in looked.unknown if each.found]
    nobodys += [each.id for each in looked.provider_files if each.found and not each.sure]
    if order.unknown == "refuse" and nobodys:
        yield (
            f"{', '.join(nobodys[:NAMED])}: rows with these ids, of runs that nobody knows: no manifest, no run note, "
            "another text. They may be other documents. Look at them, and say unknown: keep, or unknown: delete"
        )
    if order.unknown == "refuse":
        for documents in documents_in_doubt(looked):
            yield (
                f"{documents}: an id INDEX/ID of this order names ID where a run has read several indices, INDEX/ID "
                "where a run has read one. Look at them, say unknown: keep, and delete in the index what is meant "
                "then. Or say unknown: delete: all of them go"
            )


def _remove(order: Order, looked: Looked) -> None:
    gone = order.unknown == "delete"
    for store, files in looked.at_provider:
        sure = [each for each in files if each.found and (each.sure or gone)]
        cancel_running(store, sure)
        remove_files(store, sure)
    if looked.indices:
        looked.indices.remove(looked.indexed)
        looked.indices.delete(looked.unfinished_indices)
    for sidecar in looked.sidecars:
        sidecar.remove()
    unfinished = looked.unfinished
    for folder in looked.work:
        if folder in unfinished:
            remove(folder.uri, recursive=True)
        elif gone or folder not in looked.unknown:
            folder.remove()
    changes = [folder.write_others() for folder in looked.folders]
    moved, forgotten = moved_by(looked.folders, changes), looked.forgotten
    for record in looked.records:
        move_entries(record, moved, forgotten)
    for output, changed in zip(looked.folders, changes, strict=True):
        output.finish(changed, looked.names)
    for uri in looked.checkpoints:
        forget_left(uri, looked.naming, looked.ids)


def _is_kept(order: Order, place: Place, looked: Looked) -> bool:
    """Whether a person has said that it stays."""
    if order.unknown != "keep":
        return False
    kept = {at.at for each in looked.provider_files if not each.sure for at in each.places()}
    return place.at in kept or any(place.at.startswith(f"{each.uri}/") for each in looked.unknown)


def _proof(
    order: Order, looked: Looked, began_at: str, places: Sequence[Place], state: Literal["planned", "left", "erased"]
) -> Proof:
    salt = secrets.token_hex(16)
    return Proof(
        run=order.run,
        spec=order.spec.name,
        forget=order.forget,
        state=state,
        began_at=began_at,
        ended_at=_now(),
        documents=len(looked.ids),
        salt=salt,
        hashes=sorted(hashed_id(salt, each) for each in looked.ids),
        places=list(places),
        not_removed=[
            *(NotRemoved(each, "nothing would be removed") for each in doubts(order, looked)),
            *stays(order, looked),
        ],
    )


def _earlier(order: Order) -> Proof | None:
    """The proof of this erasure, where it has ended before. Raise InputError for the proof of another."""
    found = _read(order.proof_uri, Proof)
    if found is None or found.state == "planned":
        return None
    if not {hashed_id(found.salt, each) for each in order.ids} <= set(found.hashes):
        raise InputError(f"{order.proof_uri} is the proof of another erasure: take another name for the run")
    return found if found.state == "erased" else None


def _read(uri: str, kind: type[V]) -> V | None:
    """None where there is no such object. Raise InputError for another object."""
    if size_of(uri) is None:
        return None
    with open_binary(uri) as source:
        try:
            return msgspec.json.decode(source.read(), type=kind)
        except msgspec.DecodeError as error:
            raise InputError(f"{uri}: not of this version: {error}") from error


def _json(value: Proof | Journal) -> bytes:
    return orjson.dumps(value.to_dict(), option=orjson.OPT_INDENT_2)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
