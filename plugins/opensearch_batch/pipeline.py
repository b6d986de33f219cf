"""batch_inference: the whole flow as one call inside a DAG. Each bundle of shards flows alone; the report speaks for
all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import AssetAlias, TriggerRule, XComArg, literal, task_group

from opensearch_batch.errors import SpecError
from opensearch_batch.limit_section import LimitSection
from opensearch_batch.operators import (
    AnswerStragglersOperator,
    CarryOverOperator,
    CheckParityOperator,
    CopyDocumentsOperator,
    CreateConnectorOperator,
    FetchOutputOperator,
    MakeIndexOperator,
    PrepareInputOperator,
    PrepareRepairOperator,
    RegisterModelOperator,
    ReportOperator,
    SubmitBatchOperator,
    SwapAliasOperator,
    WriteBackOperator,
    WriteChunksOperator,
)
from opensearch_batch.sensor import BatchSensor
from opensearch_batch.spec import BatchSpec
from opensearch_batch.submit.admission import pool_command, pool_name
from opensearch_batch.tasks.ask_first import TASK_ID as APPROVE
from opensearch_batch.tasks.ask_first import ask_first, may_ask
from opensearch_batch.tasks.assets import outlet_of
from opensearch_batch.tasks.index_name import TEMPLATE as INDEX_NAME

MOST_ROUNDS = 3
ANSWER = "answer_stragglers"
PLANNED = "Fails the run where `prepare_input` failed: `report` has nothing to report then, and is skipped."
COMPARED = "Embeds a sample again online; runs in nights without changes too."
REUSED = "Writes vectors that an earlier run has paid for; skipped where there are none."
WRITTEN = "Writes the vectors of the stragglers; skipped where there are none."
CHUNKS = "Writes each document once all of its chunks have vectors; skipped where the spec has no `input.chunks`."
CARRIED = "Brings over what was edited, added or deleted in the old index meanwhile; skipped where nothing was written."
SWAPPED = "Moves the alias to the new index, at once or not at all."
STRAGGLERS = "Asks online what batches have left, within `limits.max_straggler_usd`; skipped where no row is left."
SKIPPED = "Skipped where no row is left that another try may answer: nothing is wrong then."


def batch_inference(
    spec: BatchSpec | str,
    *,
    input_uri: Any = None,
    overrides: dict[str, Any] | None = None,
    repair_rounds: int | None = None,
    submit_pool: str | None = None,
    write_back: bool | Literal["beside"] | None = None,
    stragglers: bool | None = None,
) -> XComArg:
    """Wire prepare_input, create_connector, register_model, the mapped group `shard`, for each repair round
    prepare_repair_N and the mapped group `repair_N`, and report; return the report's output. The empty task `planned`
    fails a run whose input could not be prepared: its report is skipped. A spec with limits.ask_above_usd has the task
    `approve` after prepare_input, as has a template, whose spec is not known when the file is parsed.

    The input is prepared first, so that a wrong row, a spent budget, an empty partition or a dry run leaves the cluster
    alone. A repair round without rows is skipped. The report of a complete run emits an event of the asset
    `<spec name>/results`.

    :param spec: a BatchSpec, or a template that renders to the path of a spec file when the run starts.
    :param input_uri: replaces the spec's, e.g. the output of a task that writes the input.
    :param submit_pool: pool of one slot for every task that submits to the model; needed when limits.max_jobs_in_flight
        or limits.max_enqueued_tokens are set. The default for a BatchSpec with either limit: opensearch_batch_<name of
        the model in the cluster>. Airflow never runs a task whose pool does not exist.
    :param overrides: dotted spec keys to replace at run time, templated, e.g. {"model.name": "{{ params.model }}"}.
    :param repair_rounds: rounds of the DAG, at most 3. Default: the spec's limits.repair_rounds, and 1 for a template,
        whose spec is not known when the file is parsed. A run's own spec may ask for fewer, not for more.
    :param write_back: whether each bundle's vectors go into the index that the documents were read from; "beside" into
        a new index: then make_index and copy_documents come first, carry_over and swap_alias before the report.
        Default: as a BatchSpec says; for a template, whose spec is not known when the file is parsed, False.
    :param stragglers: whether the DAG has the task answer_stragglers, before the report, which asks online for the rows
        that batches have left at wait.finish_by. Default: where a BatchSpec has wait.finish_by; for a template False.
    """
    online = _finishes(spec, overrides) if stragglers is None else stragglers
    writes = _writes(spec) if write_back is None else write_back
    chunks = writes and (not isinstance(spec, BatchSpec) or spec.input.chunks is not None)
    vectors = writes and (not isinstance(spec, BatchSpec) or spec.input.chunks is None)
    new = NewIndex(spec, input_uri, overrides) if writes == "beside" else None
    prepare = PrepareInputOperator(
        task_id="prepare_input",
        spec=_given(spec),
        input_uri=input_uri,
        overrides=new.overrides if new else overrides,
    )
    if new:
        new.copy >> prepare
    resolved: Any = XComArg(prepare, key="spec")
    connector = CreateConnectorOperator(task_id="create_connector", spec=resolved)
    model = RegisterModelOperator(task_id="register_model", spec=resolved, connector_id=connector.output)
    rounds = _rounds(spec, repair_rounds)

    passing = _passing(submit_pool or _pool_of(spec))

    named: dict[str, Any] = {"map_index_template": INDEX_NAME}
    online_too: dict[str, Any] = {"stragglers": True} if online else {}

    def round_of(group_id: str, bundles: Any, *, last: bool, tooltip: str = "") -> Any:
        @task_group(group_id=group_id, tooltip=tooltip)
        def each_bundle(shards: Any) -> Any:
            submit = SubmitBatchOperator(
                task_id="submit_batch", spec=resolved, model_id=model.output, shards=shards, **named, **passing
            )
            wait = BatchSensor(task_id="wait_for_batch", spec=resolved, jobs=submit.output, **named, **passing)
            fetch = FetchOutputOperator(
                task_id="fetch_output",
                spec=resolved,
                outcomes=wait.output,
                final=False,
                repair=not last,
                **online_too,
                **named,
            )
            if vectors:
                plan = XComArg(prepare, key="plan")
                written.append(
                    WriteBackOperator(
                        task_id="write_back", spec=resolved, landed=fetch.output, plan=plan, **into, **named
                    )
                )
            return fetch.output

        return each_bundle.expand(shards=bundles)

    into = {"new_index": new.index} if new else {}
    written: list[WriteBackOperator | WriteChunksOperator] = []
    if vectors and (not isinstance(spec, BatchSpec) or spec.reuse):
        plan = XComArg(prepare, key="plan")
        written.append(WriteBackOperator(task_id="write_reused", spec=resolved, plan=plan, doc_md=REUSED, **into))
    gated: list[Any] = [connector, *written]
    landed = [round_of("shard", prepare.output, last=not rounds)]
    repairs, groups = list[str](), ["shard"]
    for number in range(1, rounds + 1):
        repair = PrepareRepairOperator(
            task_id=f"prepare_repair_{number}",
            spec=resolved,
            landed=landed[-1],
            planned_by=[prepare.task_id, *repairs][-1],
            trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
            doc_md=SKIPPED,
        )
        repairs.append(repair.task_id)
        gated.append(repair)
        groups.append(f"repair_{number}")
        landed.append(round_of(groups[-1], repair.output, last=number == rounds, tooltip=SKIPPED))
    if online:
        answer = AnswerStragglersOperator(
            task_id=ANSWER,
            planned_by=prepare.task_id,
            landed=list(landed),
            repaired_by=repairs,
            model_id=model.output,
            trigger_rule=TriggerRule.ALL_DONE,  # a repair round is skipped when the time is up
            doc_md=STRAGGLERS,
        )
        gated.append(answer)
        landed.append(answer.output)
        if vectors:
            plan = XComArg(prepare, key="plan")
            written.append(
                WriteBackOperator(
                    task_id="write_stragglers", spec=resolved, landed=answer.output, plan=plan, doc_md=WRITTEN, **into
                )
            )
            gated.append(written[-1])
    if chunks:
        written.append(
            WriteChunksOperator(
                task_id="write_chunks",
                planned_by=prepare.task_id,
                landed=landed,
                repaired_by=repairs,
                answered_by=ANSWER if online else "",
                trigger_rule=TriggerRule.ALL_DONE,
                doc_md=CHUNKS,
                **into,
            )
        )
        gated.append(written[-1])
    compared = _compared(spec, resolved) if writes else None
    asks = may_ask(spec, overrides)
    report = ReportOperator(
        task_id="report",
        planned_by=prepare.task_id,
        landed=landed,
        repaired_by=repairs,
        answered_by=ANSWER if online else "",
        skip_without_plan=True,
        submitted_by=[f"{group}.submit_batch" for group in groups],
        waited_by=[f"{group}.wait_for_batch" for group in groups],
        written_by=[task.task_id for task in written],
        compared_by=compared.task_id if compared else "",
        swapped_by="swap_alias" if new else "",
        approved_by=APPROVE if asks else "",
        trigger_rule=TriggerRule.ALL_DONE,
        outlets=[outlet_of(spec.name) if isinstance(spec, BatchSpec) else AssetAlias("batch_inference")],
    )
    for task in written:
        task >> report
    if new:
        gates = [compared] if compared else []
        before = [*written, *landed] if chunks else written  # write_chunks succeeds with what has landed
        new.put_in_place(resolved, XComArg(prepare, key="plan"), before, gates) >> report
    elif compared:
        [model, *written] >> compared >> report
    if asks:
        ask_first(prepare, [*gated, *([compared] if compared else []), *([new.over] if new else [])])
    prepare.output >> EmptyOperator(task_id="planned", doc_md=PLANNED)
    return report.output


def _compared(spec: BatchSpec | str, resolved: Any, indices: Any = None) -> CheckParityOperator | None:
    """Return the check that the spec asks for; of `indices` before they take another's place."""
    if isinstance(spec, str) or spec.parity is None:
        return None
    rule = TriggerRule.NONE_FAILED
    return CheckParityOperator(
        task_id="check_parity", spec=resolved, indices=indices, trigger_rule=rule, doc_md=COMPARED
    )


class NewIndex:
    """The tasks around the others that fill a new index beside an alias's: `overrides` lead the others there."""

    def __init__(self, spec: BatchSpec | str, input_uri: Any, overrides: dict[str, Any] | None) -> None:
        given = _given(spec)
        make = MakeIndexOperator(task_id="make_index", spec=given, input_uri=input_uri, overrides=overrides)
        self.overrides: Any = make.output
        self.index = XComArg(make, key="new_index")
        self.copy = CopyDocumentsOperator(task_id="copy_documents", spec=given, new_index=self.index)
        self.over: CarryOverOperator | None = None

    def put_in_place(self, spec: Any, plan: Any, written: Sequence[Any], gates: Sequence[Any]) -> SwapAliasOperator:
        """Wire what follows when all vectors are in the new index; return the last task. `gates` fail where the new
        index must not take the old one's place.
        """
        over = self.over = CarryOverOperator(
            task_id="carry_over",
            spec=spec,
            new_index=self.index,
            plan=plan,
            trigger_rule=TriggerRule.NONE_FAILED,
            doc_md=CARRIED,
        )
        swap = SwapAliasOperator(
            task_id="swap_alias", spec=spec, new_index=self.index, carried_over=over.output, plan=plan, doc_md=SWAPPED
        )
        for task in written:
            task >> over
        for gate in gates:
            gate.trigger_rule = TriggerRule.ALL_SUCCESS
            over >> gate >> swap
        return swap


def _given(spec: BatchSpec | str) -> Any:
    """Return the spec for a task. Airflow fills in templates of a task's arguments, and must leave that of the rows."""
    if isinstance(spec, str):
        return spec
    values = spec.to_dict()
    if spec.input.template is not None:
        values["input"] = {**values["input"], "template": literal(spec.input.template)}
    return values


def _writes(spec: BatchSpec | str) -> bool | Literal["beside"]:
    if isinstance(spec, str) or spec.write_back is None:
        return False
    return "beside" if spec.write_back.is_beside else True


def _finishes(spec: BatchSpec | str, overrides: Any) -> bool:
    if isinstance(spec, str):
        return False
    return spec.wait.finish_by is not None or (isinstance(overrides, dict) and "wait.finish_by" in overrides)


def _rounds(spec: BatchSpec | str, given: int | None) -> int:
    limits = spec.limits if isinstance(spec, BatchSpec) else LimitSection()
    rounds = limits.repair_rounds if given is None else given
    if not 0 <= rounds <= MOST_ROUNDS:
        raise SpecError(f"repair_rounds is {rounds}; a DAG may have 0 to {MOST_ROUNDS}")
    return rounds


def _pool_of(spec: BatchSpec | str) -> str | None:
    if isinstance(spec, str) or (spec.limits.max_jobs_in_flight is None and spec.limits.max_enqueued_tokens is None):
        return None
    return pool_name(spec.registered_as)


def _passing(pool: str | None) -> dict[str, Any]:
    """Return the pool, and as the task's doc_md the command that makes the pool: Airflow tells of an absent pool only
    in the scheduler's log.
    """
    if pool is None:
        return {}
    missing = f"Passes the pool `{pool}`. While there is none of that name this task stays `scheduled`. Make it:"
    return {"pool": pool, "doc_md": f"{missing} `{pool_command(pool)}`"}
