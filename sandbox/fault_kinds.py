"""The kinds of trouble that can be ordered: what each does, and what an order of it may and must say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.cluster_trouble import BULK, TROUBLES
from sandbox.odd_answers import BODIES, JOB_FIELDS
from sandbox.odd_lines import ROW_SHAPES, TEXT_SHAPES, VECTOR_SHAPES
from sandbox.odd_objects import OBJECT_SHAPES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

CALL = frozenset({"method", "path"})
ROWS = frozenset({"count"})


@dataclass(frozen=True)
class Kind:
    """A kind of trouble: what it does, which parameters an order may have and which it must have, and how often it
    happens unless told otherwise (-1: until it is cleared). `of_a_job`: it is ordered for the next job that is made.
    """

    does: str
    takes: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    times: int = 1
    of_a_job: bool = False
    path: str | None = None
    """Of the calls it happens to, unless the order names another."""


LISTS = r"^/v1/(files|batches|datasets|embed-jobs)$|^/aws(/|#|$)"
SIZES = r"^/v1/(files|datasets)|^/aws/"


def _job(does: str, takes: frozenset[str] = frozenset(), needs: frozenset[str] = frozenset()) -> Kind:
    return Kind(does, takes, needs, of_a_job=True)


def _words(shapes: Iterable[str]) -> str:
    *most, last = (f"`{shape}`" for shape in shapes)
    return f"{', '.join(most)} or {last}"


SHAPES: dict[str, Collection[str]] = {
    "odd_rows": ROW_SHAPES,
    "odd_vectors": VECTOR_SHAPES,
    "odd_texts": TEXT_SHAPES,
    "odd_objects": OBJECT_SHAPES,
    "odd_body": BODIES,
    "odd_job": JOB_FIELDS,
}
"""What `as` may be."""


KINDS: dict[str, Kind] = {
    "answer": Kind(
        "The call gets this `status` (500), `body` and `headers`, and does nothing.",
        CALL | {"status", "body", "headers", "every"},
    ),
    "lost_answer": Kind("The call does what it should, and the connection breaks before the answer.", CALL),
    "late_accept": Kind(
        "The connection breaks at once, and the call does what it should so many `seconds` later.",
        CALL | {"seconds"},
        frozenset({"seconds"}),
    ),
    "bulk_answer_lost": Kind(
        "A `_bulk` writes what it should, and the connection breaks before the answer.", CALL, path=BULK
    ),
    "bulk_items_rejected": Kind(
        "The items of a `_bulk` for this `shard` (0) find its queue full: 200, and 429 for each of them.",
        frozenset({"shard"}),
    ),
    "pit_lost": Kind("The next search in a point in time finds that it is gone: 404."),
    "neighbours_missed": Kind(
        "A search by knn does not find the nearest `count` (7), as where a graph is poorly connected.",
        frozenset({"count"}),
    ),
    "shard_failed": Kind(
        "A `shard` (the last) of a search is not there: 200 and the hits of the others, or 503 where no partial answer "
        "was allowed or there is no other.",
        frozenset({"shard"}),
    ),
    "delay": Kind("The call waits so many `seconds` first.", CALL | {"seconds"}, frozenset({"seconds"})),
    "hold": Kind("The call waits until faults are cleared.", CALL),
    "down": Kind(
        "Calls to this `face` find no one: the connection breaks. With `seconds`, for so long.",
        frozenset({"face", "seconds"}),
        frozenset({"face"}),
        times=-1,
    ),
    "list_lag": Kind(
        "A list leaves out what is younger than so many `seconds`.", frozenset({"seconds"}), frozenset({"seconds"})
    ),
    "lose_row": _job("So many (1) answered rows are left out of the job's results, and of what it says is done.", ROWS),
    "duplicate_row": _job("So many (1) answered rows come twice.", ROWS),
    "foreign_row": _job("So many (1) rows come that nobody asked for.", ROWS),
    "cut_row": _job("So many (1) lines of the results break off in the middle.", ROWS),
    "fail_rows": _job(
        "The first `count` (1) rows, or those with these `ids`, fail with this `code`, `message` and `status_code`.",
        frozenset({"count", "ids", "code", "message", "status_code"}),
    ),
    "all_rows_fail": _job("Every row of the job fails, likewise.", frozenset({"code", "message", "status_code"})),
    "reorder": _job("The results come in another order, over the whole file."),
    "fail_batch": _job(
        "The job is accepted and then fails as a whole.", frozenset({"code", "message", "line", "param"})
    ),
    "expire": _job("The job expires when this `fraction` (0.5) of its rows is answered.", frozenset({"fraction"})),
    "cancel": _job("The job is cancelled at the provider, likewise.", frozenset({"fraction"})),
    "cut_download": Kind(
        "A download breaks off after so many bytes.", frozenset({"after_bytes"}), frozenset({"after_bytes"})
    ),
    "slow_download": Kind(
        "A download goes no faster than this.", frozenset({"bytes_per_second"}), frozenset({"bytes_per_second"})
    ),
    "min_records": Kind(
        "Bedrock takes jobs of so many records, instead of 100, or more.", ROWS, frozenset({"count"}), times=-1
    ),
    "deny": Kind("AWS refuses the call for want of a permission, in the service's words.", CALL | {"every"}),
    "expire_credentials": Kind("All temporary AWS keys given out so far have ended."),
    "odd_rows": _job(
        "The first `count` (1) rows come as servers have them on a bad day, `as` " + _words(ROW_SHAPES) + ".",
        frozenset({"as", "count"}),
        frozenset({"as"}),
    ),
    "odd_vectors": _job(
        "The vectors of the first `count` (all) lines of the results are `as` " + _words(VECTOR_SHAPES) + ".",
        frozenset({"as", "count"}),
        frozenset({"as"}),
    ),
    "odd_texts": _job(
        "The texts of the first `count` (all) lines of the results come `as` " + _words(TEXT_SHAPES) + ".",
        frozenset({"as", "count"}),
        frozenset({"as"}),
    ),
    "odd_objects": _job(
        "The texts of the first `count` (all) lines of the results, which should be objects of a schema, come `as` "
        + _words(OBJECT_SHAPES)
        + ".",
        frozenset({"as", "count"}),
        frozenset({"as"}),
    ),
    "id_later": _job(
        "The job has ended, and names no file of its results in so many (1) status reads more.", frozenset({"reads"})
    ),
    "file_later": _job(
        "The files of the job's results are not found the first times (1) that they are asked for; -1: never.",
        frozenset({"reads"}),
    ),
    "rows_later": _job(
        "So many (1) last rows are not in the job's results the first times (1) that they are read; -1: never.",
        frozenset({"count", "reads"}),
    ),
    "refuse_file": _job(
        "A file of the job is refused with this `status` (404): `which` output (the answers) or error (what lies "
        "beside them: the file of refused rows, or Bedrock's manifest).",
        frozenset({"which", "status"}),
        frozenset({"which"}),
    ),
    "odd_body": Kind(
        "The call does what it should, and its answer of 200 is `as` " + _words(BODIES) + ".",
        CALL | {"as", "every"},
        frozenset({"as"}),
    ),
    "change_answer": Kind(
        "In the JSON of an answer the fields at these paths (`data.*.bytes`) are left out (`drop`, a list) or have "
        "other values (`set`, by path).",
        CALL | {"drop", "set", "every"},
    ),
    "odd_job": Kind(
        "What only informs in a job, alone or in a list, is `as` " + _words(JOB_FIELDS) + ".",
        CALL | {"as", "every"},
        frozenset({"as"}),
    ),
    "wrong_size": Kind(
        "Files say that they have this `size` (a number, null or absent): where they are uploaded, looked at, listed.",
        CALL | {"size", "every"},
        frozenset({"size"}),
        path=SIZES,
    ),
    "null_entry": Kind("A list begins with an entry that is null but for its id.", CALL | {"every"}, path=LISTS),
    "no_has_more": Kind("A list does not say whether there is more.", CALL | {"every"}, path=LISTS),
    "repeat_page": Kind(
        "A list gives its first page again and again, and says that there is more.", CALL, times=-1, path=LISTS
    ),
    "refuse_key": Kind(
        "A key that is right is refused, for so many calls (`times`) or `seconds`.", CALL | {"seconds", "status"}
    ),
    "echo_key": Kind(
        "The call is refused with this `status` (400), in words that show the key it came with (of AWS, which gets "
        "none, this `key`): whole, reversed, in a URL, in base64 and in JSON.",
        CALL | {"status", "every", "key"},
    ),
    "gzip_download": Kind("A download comes compressed, where the client takes gzip.", CALL),
    "deploy_fail": Kind(
        "The next deployment ends as DEPLOY_FAILED, and further ones do until the model is undeployed."
    ),
    "deploy_partial": Kind("The next deployment ends as PARTIALLY_DEPLOYED."),
    **{name: Kind(trouble.does, CALL | {"every"}) for name, trouble in TROUBLES.items()},
}
BATCH_FAULTS = tuple(name for name, kind in KINDS.items() if kind.of_a_job)
