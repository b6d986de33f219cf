"""The operators of a run that fills a new index beside an alias's: make, copy, carry over, swap."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.base import BatchOperator, cluster
from opensearch_batch.tasks.closing import flow_name, flow_of, instance, run_key
from opensearch_batch.tasks.partition import placeholders, refuse_unknown_conf
from opensearch_batch.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.beside.carrying import Fields
    from opensearch_batch.cluster.described import Send
    from opensearch_batch.flow.beside import NewIndex
    from opensearch_batch.write_back_section import WriteBackSection

NO_NEW_INDEX = (
    "a task that writes vectors of a spec with write_back.mode: beside needs new_index=, the XCom new_index of the "
    "MakeIndexOperator before it"
)


class MakeIndexOperator(BatchOperator):
    """Make the new index of a spec with `write_back.mode: beside`; return overrides of the spec that make the next
    tasks read and write there. XCom `new_index` is for CopyDocumentsOperator and those after it. A dry run makes none.

    The index is named after alias, run and flow, so that each try finds its own again. Fails, before anything is made,
    where the input is no alias of one index, and where an index of that name is another run's.

    :param overrides: dotted spec keys to replace, as for PrepareInputOperator.
    :param input_uri: replaces the spec's.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "overrides", "input_uri")
    template_fields_renderers = {"spec": "json", "overrides": "json"}

    def __init__(self, *, overrides: dict[str, Any] | None = None, input_uri: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.overrides, self.input_uri = overrides, input_uri

    def run_step(self, context: Context, settings: TaskSettings) -> dict[str, Any]:
        from opensearch_batch.beside.making import index_name, make_index
        from opensearch_batch.prepare.index_mapping import refuse_unreadable
        from opensearch_batch.sources.columns import leaves_of
        from opensearch_batch.sources.index_rows import SCHEME, address_of

        refuse_unknown_conf(context)
        given = {
            "input.uri": self.input_uri,
            **{key: value for key, value in (self.overrides or {}).items() if value != ""},
        }
        spec, section = beside_spec(settings.spec.override(given) if settings.spec else None, "MakeIndexOperator")
        resolved = spec.resolve(**placeholders(context, spec.input.partition_format))
        if resolved.input.query:
            raise SpecError(
                "input.query and write_back.mode: beside do not go together: all documents move to the new index, and "
                "those that the query leaves out would have no vector there. Nothing was sent."
            )
        if spec.dry_run:
            return given
        connection, alias = address_of(resolved.input.uri)
        send = cluster(connection)
        flow = flow_of(instance(context["ti"]))
        name = index_name(alias, run_key(self.dag_id, context["dag_run"].run_id, flow))
        about = _the_index(send, alias)
        [alias_of] = (each["aliases"].get(alias) or {} for each in about.values())
        _refuse_braces(alias, alias_of.get("filter"))
        refuse_unreadable(about, [leaf for leaf in leaves_of(spec) if leaf != section.hash_field])
        provider = providers.get(spec.model.provider)
        asked = provider.asked(spec.model.name, spec.model.endpoint, spec.model.parameters)
        if asked.vectors is False:
            raise SpecError(f"write_back takes vectors, and {spec.model.endpoint} answers with text")
        run = flow_name(context, flow)
        made = make_index(send, alias, name, run, section, asked.dimensions, spec.input.chunks)
        context["ti"].xcom_push(key="new_index", value=made.to_dict())
        self.log.info("%s is filled beside %s, to which alias %s leads", name, made.made.source.index, alias)
        return {**given, "input.uri": f"{SCHEME}{connection}/{name}", "input.query": alias_of.get("filter")}


class CopyDocumentsOperator(BatchOperator):
    """Copy the documents of the alias's index into the new one, without their vectors; return the counts.

    Repeating is safe: each document keeps its version, and what is there is not written again. Ingest pipelines do not
    run: the documents have been through them.

    :param new_index: XCom `new_index` of the MakeIndexOperator; None in a dry run, which copies nothing.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "new_index")
    template_fields_renderers = {"spec": "json", "new_index": "json"}

    def __init__(self, *, new_index: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.new_index = new_index

    def run_step(self, context: Context, settings: TaskSettings) -> dict[str, int]:
        from opensearch_batch.beside.aliased import indices_of
        from opensearch_batch.beside.carrying import copy_documents
        from opensearch_batch.sources.index_rows import refuse_another

        spec, section = beside_spec(settings.spec, "CopyDocumentsOperator")
        if self.new_index is None:
            return {"copied": 0, "there": 0}
        send, new = _opened(spec, self.new_index)
        if indices_of(send, new.made.alias).keys() == {new.state.index}:
            self.log.info("an earlier try has moved the alias to %s: people write there now", new.state.index)
            return {"copied": 0, "there": 0}
        refuse_another(send, [new.made.source])
        copied, there = copy_documents(send, new.made.source, new.state, fields_of(spec, section))
        self.log.info("%d documents copied into %s, %d were there", copied, new.state.index, there)
        return {"copied": copied, "there": there}


class CarryOverOperator(BatchOperator):
    """Bring over what was edited, added and deleted in the old index since the copy began; return what was done and how
    many documents of the new index have a text without its vector.

    A document whose text is the same keeps its new vector. Fails where the new index has vectors of another model.
    Repeating is safe.

    :param spec: XCom `spec` of the PrepareInputOperator: its input is the new index.
    :param new_index: XCom `new_index` of the MakeIndexOperator.
    :param plan: XCom `plan` of the PrepareInputOperator; without rows, and in a dry run, the task is skipped.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "new_index", "plan")
    template_fields_renderers = {"spec": "json", "new_index": "json", "plan": "json"}

    def __init__(self, *, new_index: Any, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.new_index, self.plan = new_index, plan

    def run_step(self, context: Context, settings: TaskSettings) -> dict[str, Any]:
        from opensearch_batch.beside.aliased import indices_of
        from opensearch_batch.beside.judging import refuse_other_vectors, without_vector
        from opensearch_batch.beside.moving import refuse_elsewhere, settle
        from opensearch_batch.flow.beside import Carried, CarriedOver
        from opensearch_batch.prepare.plan import Plan
        from opensearch_batch.sources.changed import ChangedDocuments
        from opensearch_batch.sources.index_rows import refuse_another

        spec, section = beside_spec(settings.spec, "CarryOverOperator")
        plan = Plan.from_dict(self.plan)
        if plan.dry_run or not (plan.records or plan.reused):
            raise AirflowSkipException("no vector was written, so the alias stays where it is")
        send, new = _opened(spec, self.new_index)
        source, target = new.made.source, new.state
        refuse_another(send, [source, target])
        found, carried, until = indices_of(send, new.made.alias), Carried(), source
        if found.keys() != {target.index}:  # else the swap was made by an earlier try
            refuse_elsewhere(new.made.alias, found, source.index, target.index)
            carried, until = settle(send, source, target, fields_of(spec, section))
        changed = ChangedDocuments.of(spec.override({"write_back.read": "all"}))
        refuse_other_vectors(changed, spec)
        bare, named = without_vector(changed)
        over = CarriedOver(carried, until, changed.unchanged + changed.empty + bare, changed.unchanged, bare, named)
        self.log.info("%s", over)
        return over.to_dict()


class SwapAliasOperator(BatchOperator):
    """Move the alias to the new index in one request that cannot half succeed, with its filter, routing and write
    index; return what was moved and counted. The old index is kept for a RollbackOperator.

    Edits made since the carry-over come first, those of the last moment after the move. Fails, and leaves the alias
    alone, where the indices have different numbers of documents, more documents are without a vector than the spec
    allows, or somebody else moved the alias. Repeating is safe: a later try ends what an earlier one began.

    :param new_index: XCom `new_index` of the MakeIndexOperator.
    :param carried_over: the output of the CarryOverOperator.
    :param plan: XCom `plan` of the PrepareInputOperator.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "new_index", "carried_over", "plan")
    template_fields_renderers = {"spec": "json", "new_index": "json", "carried_over": "json", "plan": "json"}

    def __init__(self, *, new_index: Any, carried_over: Any, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.new_index, self.carried_over, self.plan = new_index, carried_over, plan

    def run_step(self, context: Context, settings: TaskSettings) -> dict[str, Any]:
        from opensearch_batch.beside import older
        from opensearch_batch.beside.judging import refuse_bare, refuse_too_few
        from opensearch_batch.beside.moving import Move, move
        from opensearch_batch.flow.beside import Carried, CarriedOver, Swapped
        from opensearch_batch.flow.documents import IndexState
        from opensearch_batch.prepare.plan import Plan

        spec, section = beside_spec(settings.spec, "SwapAliasOperator")
        send, new = _opened(spec, self.new_index)
        over, plan = CarriedOver.from_dict(self.carried_over), Plan.from_dict(self.plan)
        failed = over.without_vector - over.carried.without_vector - (plan.bad_rows or 0)
        planned = plan.records + (plan.reused_rows or 0) + (plan.twins or 0)
        if spec.input.chunks:  # rows are chunks, of which a document has many
            planned = over.vectors + over.without_vector
        counts = {"documents": over.documents, "bare": over.without_vector}

        def judge(carried: Carried, until: IndexState) -> None:
            counts["bare"] = refuse_bare(over, carried, spec, failed, planned)
            counts["documents"] = refuse_too_few(send, until, new.state)

        wanted = Move(
            new.made.alias,
            new.made.run,
            over.until,
            new.state,
            fields_of(spec, section),
            has_deletions=over.until.checkpoints != new.made.source.checkpoints,
        )
        done = move(send, wanted, judge)
        kept = over.until.index
        gone = older.older_than(send, kept)
        swapped = Swapped(
            new.made.alias,
            new.state.index,
            kept,
            counts["documents"],
            counts["bare"],
            over.carried + done.before,
            done.after,
            round(done.seconds, 3),
            gone,
            older.remove(send, gone) if section.remove_older else [],
        )
        self.log.info("%s", swapped)
        if gone and not section.remove_older:
            self.log.info("no longer needed for a rollback: DELETE %s", ",".join(gone))
        return swapped.to_dict()


def beside_spec(spec: BatchSpec | None, operator: str) -> tuple[BatchSpec, WriteBackSection]:
    """Raise SpecError for a spec that fills no index beside."""
    if spec is None or spec.write_back is None or not spec.write_back.is_beside:
        raise SpecError(f"{operator} needs spec= with write_back.mode: beside")
    return spec, spec.write_back


def fields_of(spec: BatchSpec, section: WriteBackSection) -> Fields:
    from opensearch_batch.beside.carrying import Fields
    from opensearch_batch.sources.columns import text_leaves_of

    has_chunks = spec.input.chunks is not None
    vectors = section.chunks_field if has_chunks else section.vector_field
    return Fields(text_leaves_of(spec), vectors, section.provenance, has_chunks)


def map_vector_field(send: Send, section: WriteBackSection, new_index: Any, uris: Sequence[str]) -> None:
    """Give the new index its vector field, where only the model knew the length; the first line of `uris` tells. Raise
    SpecError without a new index.
    """
    from opensearch_batch.beside.making import map_vectors
    from opensearch_batch.flow.beside import NewIndex
    from opensearch_batch.sinks.index import first_length
    from opensearch_batch.storage import open_binary

    if new_index is None:
        raise SpecError(NO_NEW_INDEX)
    new = NewIndex.from_dict(new_index)
    for uri in uris:
        with open_binary(uri) as lines:
            if length := first_length(lines):
                map_vectors(send, new.made, new.state.index, section, length)
                return


def _opened(spec: BatchSpec, new_index: Any) -> tuple[Send, NewIndex]:
    from opensearch_batch.flow.beside import NewIndex
    from opensearch_batch.sources.index_rows import address_of

    if new_index is None:
        raise SpecError("there is no new index: clear make_index, whose log says why")
    return cluster(address_of(spec.input.uri)[0]), NewIndex.from_dict(new_index)


def _the_index(send: Send, alias: str) -> dict[str, Any]:
    from opensearch_batch.beside.aliased import the_index

    index, about = the_index(send, alias)
    return {index: about}


def _refuse_braces(alias: str, query: Any) -> None:
    """Raise SpecError for an alias's filter with placeholders of a spec: the filter becomes the query, filled in."""
    if found := re.search(r"\{\w+\}", json.dumps(query or {})):
        raise SpecError(
            f"the filter of alias {alias} has {found[0]}, which a spec takes for a placeholder. Say it without braces, "
            "or fill in place. Nothing was sent."
        )
