"""batch_inference: the whole flow as one call inside a DAG. Each bundle of shards flows alone; the report speaks for
all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import AssetAlias, TriggerRule

from opensearch_batch.operators import AnswerStragglersOperator, CheckParityOperator, ReportOperator
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.ask_first import ask_first
from opensearch_batch.tasks.assets import outlet_of
from opensearch_batch.wiring.new_index import NewIndex
from opensearch_batch.wiring.rounds import Round, rounds_of
from opensearch_batch.wiring.shape import pool_of, shape_of
from opensearch_batch.wiring.start import Start, start_of
from opensearch_batch.wiring.writing import Writing

if TYPE_CHECKING:
    from airflow.sdk import XComArg

ANSWER = "answer_stragglers"
COMPARE = "check_parity"
PLANNED = "Fails the run where `prepare_input` failed: `report` has nothing to report then, and is skipped."
COMPARED = "Embeds a sample again online; runs in nights without changes too."
STRAGGLERS = "Asks online what batches have left, within `limits.max_straggler_usd`; skipped where no row is left."


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
    shape = shape_of(spec, overrides, repair_rounds=repair_rounds, write_back=write_back, stragglers=stragglers)
    new = NewIndex(spec, input_uri, overrides) if shape.beside else None
    start = start_of(spec, input_uri, new.overrides if new else overrides)
    if new:
        new.copy >> start.prepare
    writing = Writing(start.spec, start.plan, new.index if new else None)
    reused = [writing.of_reused()] if shape.reused else []
    rounds = rounds_of(start, shape, writing, submit_pool or pool_of(spec))
    answers = [_answer_stragglers(start, rounds)] if shape.stragglers else []
    ends = _ends(start, rounds, answers)
    late = [writing.of_stragglers(answer.output) for answer in answers if shape.vectors]
    chunks = [writing.of_chunks(ends)] if shape.chunks else []
    written = [*reused, *(task for each in rounds for task in each.bundle.written), *late, *chunks]
    compares = [_compare(start)] if shape.compares else []
    gates: list[Any] = [*compares]
    swaps: list[Any] = []
    if new:
        filled = [*written, *ends["landed"]] if chunks else written  # write_chunks succeeds with what has landed
        over, swap = new.put_in_place(start.spec, start.plan, filled, compares)
        gates.append(over)
        swaps.append(swap)
    elif compares:
        [start.model, *written] >> compares[0]
    asks: list[Any] = []
    if shape.asks:
        repairs = [each.prepared for each in rounds[1:]]
        before = [start.connector, *reused, *repairs, *answers, *late, *chunks, *gates]
        asks.append(ask_first(start.prepare, before))
    start.prepare.output >> EmptyOperator(task_id="planned", doc_md=PLANNED)
    report = _report(spec, rounds, ends, written, compared_by=compares, swapped_by=swaps, approved_by=asks)
    [*written, *(swaps or compares)] >> report
    return report.output


def _answer_stragglers(start: Start, rounds: Sequence[Round]) -> AnswerStragglersOperator:
    return AnswerStragglersOperator(
        task_id=ANSWER,
        planned_by=start.prepare.task_id,
        landed=[each.landed for each in rounds],
        repaired_by=_repaired_by(rounds),
        model_id=start.model.output,
        trigger_rule=TriggerRule.ALL_DONE,  # a repair round is skipped when the time is up
        doc_md=STRAGGLERS,
    )


def _ends(start: Start, rounds: Sequence[Round], answers: Sequence[AnswerStragglersOperator]) -> dict[str, Any]:
    """Return, as an operator's arguments, the tasks where rows have ended."""
    return {
        "planned_by": start.prepare.task_id,
        "landed": [*(each.landed for each in rounds), *(answer.output for answer in answers)],
        "repaired_by": _repaired_by(rounds),
        "answered_by": _id_of(answers),
    }


def _repaired_by(rounds: Sequence[Round]) -> list[str]:
    return [each.prepared.task_id for each in rounds[1:]]


def _compare(start: Start) -> CheckParityOperator:
    rule = TriggerRule.NONE_FAILED
    return CheckParityOperator(task_id=COMPARE, spec=start.spec, trigger_rule=rule, doc_md=COMPARED)


def _report(
    spec: BatchSpec | str, rounds: Sequence[Round], ends: dict[str, Any], written: Sequence[Any], **one: Sequence[Any]
) -> ReportOperator:
    """`one` are by argument the task that tells it, or none. Ids are asked of the tasks: called in a task group, they
    begin with the group's.
    """
    return ReportOperator(
        task_id="report",
        **ends,
        skip_without_plan=True,
        submitted_by=[task.task_id for each in rounds for task in each.bundle.submitted],
        waited_by=[task.task_id for each in rounds for task in each.bundle.waited],
        written_by=[task.task_id for task in written],
        **{name: _id_of(tasks) for name, tasks in one.items()},
        trigger_rule=TriggerRule.ALL_DONE,
        outlets=[outlet_of(spec.name) if isinstance(spec, BatchSpec) else AssetAlias("batch_inference")],
    )


def _id_of(tasks: Sequence[Any]) -> str:
    """The id of the only task; empty without one."""
    return next((str(task.task_id) for task in tasks), "")
