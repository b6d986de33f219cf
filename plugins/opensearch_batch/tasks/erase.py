"""EraseOperator: documents are removed from index, files and provider, with a proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from opensearch_batch.errors import SpecError
from opensearch_batch.tasks.base import BatchOperator, open_provider_store
from opensearch_batch.tasks.partition import refuse_unknown_conf
from opensearch_batch.tasks.settings import TaskSettings, settings_of_spec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.erase.order import Order


class EraseOperator(BatchOperator):
    """Erase documents from everywhere a spec's runs have brought them; return the address of the proof, in the
    folder `erasures` at the output, with its counts. Without `remove=True` nothing is removed: the proof is the plan.

    Needs `spec`. Repeating is safe. Fails where a second look still finds a row, and before anything is removed where a
    run with one of the rows has not ended.

    :param ids: row ids as results name them: a list, its JSON, or a line each; index/id of an alias of several indices.
    :param query: of OpenSearch, or its JSON: also the documents that it finds in the spec's index.
    :param forget: "document" deletes the documents from the index; "text" leaves them there without the fields of the
        text, without vector and provenance. All other places are the same.
    :param remove: remove what was found; default: only look, and write the plan.
    :param unfinished: "refuse" (default) or "cancel": jobs of runs that have not ended are cancelled, their files and
        the indices that they fill beside an alias removed; these runs fail.
    :param unknown: "refuse" (default), "keep" or "delete" files with a wanted id, of a run that nobody knows, and
        documents that an id may mean and may not.
    :param output_uris: further folders of results (globs), where output.uri was another before.
    :param indices: further indices, e.g. a copy; those that runs have left beside an alias are looked in anyway.
    """

    template_fields: Sequence[str] = (
        *BatchOperator.template_fields,
        "ids",
        "query",
        "forget",
        "remove",
        "unfinished",
        "unknown",
        "output_uris",
        "indices",
    )

    def __init__(
        self,
        *,
        ids: Any = None,
        query: Any = None,
        forget: Any = "document",
        remove: Any = False,
        unfinished: Any = "refuse",
        unknown: Any = "refuse",
        output_uris: Any = None,
        indices: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ids, self.query, self.forget, self.remove = ids, query, forget, remove
        self.unfinished, self.unknown = unfinished, unknown
        self.output_uris, self.indices = output_uris, indices

    def run_step(self, context: Context, settings: TaskSettings) -> dict[str, Any]:
        from opensearch_batch.erase.erasure import erase

        refuse_unknown_conf(context)
        order = self._order(settings, str(context["dag_run"].run_id))
        proof = erase(order, lambda spec: open_provider_store(settings_of_spec(spec)))
        for place in proof.places:
            if place.found or place.left:
                self.log.info("%s %s: %d of %d, %d left", place.kind, place.at, place.found, place.rows, place.left)
        self.log.info("%s; %s", proof, order.proof_uri)
        counts = {
            "documents": proof.documents,
            "looked_at": len(proof.places),
            "found": proof.found,
            "left": proof.left,
        }
        return {"proof": order.proof_uri, "state": proof.state, **counts}

    def _order(self, settings: TaskSettings, run: str) -> Order:
        from opensearch_batch.erase.order import Order

        if settings.spec is None:
            raise SpecError("EraseOperator needs spec=")
        query = _json(self.query)
        if query is not None and not isinstance(query, Mapping):
            raise SpecError(f"query is a query of OpenSearch, not {query!r}. Nothing was removed")
        return Order(
            spec=settings.spec,
            run=run,
            ids=frozenset(_texts(self.ids)),
            query=query,
            forget=self.forget,
            dry_run=not _truth(self.remove),
            unfinished=self.unfinished,
            unknown=self.unknown,
            output_uris=tuple(_texts(self.output_uris)),
            indices=tuple(_texts(self.indices)),
        )


def _json(value: Any) -> Any:
    """A template renders to text."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value) if value.strip() else None
    except orjson.JSONDecodeError as error:
        raise SpecError(f"{value[:80]!r} is no JSON: {error}. Nothing was removed") from error


def _texts(value: Any) -> list[str]:
    """A list, the JSON of a list, or lines."""
    found = value
    if isinstance(value, str):
        is_json = value.strip().startswith("[") or value.strip() == "null"
        found = _json(value) if is_json else [line.strip() for line in value.splitlines() if line.strip()]
    found = found or []
    if not isinstance(found, Sequence | set | frozenset) or not all(isinstance(each, str) for each in found):
        raise SpecError(f"{value!r} is no list of texts; put numbers in quotes. Nothing was removed")
    return list(found)


def _truth(value: Any) -> bool:
    if str(value) in ("True", "true"):
        return True
    if str(value) in ("False", "false"):
        return False
    raise SpecError(f"remove is {value!r}; it is true or false. Nothing was removed")
