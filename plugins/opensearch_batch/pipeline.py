"""batch_inference: the whole flow as one call inside a DAG. Each bundle of shards flows alone; the report speaks for
all.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import AssetAlias, TriggerRule, XComArg, task_group

from opensearch_batch.closing import results_of
from opensearch_batch.operators import (
    CreateConnectorOperator,
    FetchOutputOperator,
    PrepareInputOperator,
    RegisterModelOperator,
    ReportOperator,
    SubmitBatchOperator,
)
from opensearch_batch.sensor import BatchSensor
from opensearch_batch.spec import BatchSpec


def batch_inference(
    spec: BatchSpec | str, *, input_uri: Any = None, overrides: dict[str, Any] | None = None
) -> XComArg:
    """Wire prepare_input, create_connector, register_model, the mapped group `shard`, and report; return the report's
    output.

    The input is prepared first, so that a wrong row, a spent budget, an empty partition or a dry run leaves the
    cluster alone.

    :param spec: a BatchSpec, or a template that renders to the path of a spec file when the run starts.
    :param input_uri: replaces the spec's, e.g. the output of a task that writes the input.
    :param overrides: dotted spec keys to replace at run time, templated, e.g. {"model.name": "{{ params.model }}"}.
    """
    prepare = PrepareInputOperator(
        task_id="prepare_input",
        spec=spec.to_dict() if isinstance(spec, BatchSpec) else spec,
        input_uri=input_uri,
        overrides=overrides,
    )
    resolved: Any = XComArg(prepare, key="spec")
    connector = CreateConnectorOperator(task_id="create_connector", spec=resolved)
    model = RegisterModelOperator(task_id="register_model", spec=resolved, connector_id=connector.output)

    @task_group(group_id="shard")
    def each_shard(shards: Any) -> Any:
        submit = SubmitBatchOperator(task_id="submit_batch", spec=resolved, model_id=model.output, shards=shards)
        wait = BatchSensor(task_id="wait_for_batch", spec=resolved, jobs=submit.output)
        return FetchOutputOperator(task_id="fetch_output", spec=resolved, outcomes=wait.output, final=False).output

    landed = each_shard.expand(shards=prepare.output)
    report = ReportOperator(
        task_id="report",
        planned_by=prepare.task_id,
        landed=landed,
        trigger_rule=TriggerRule.ALL_DONE,
        outlets=[results_of(spec.name) if isinstance(spec, BatchSpec) else AssetAlias("batch_inference")],
    )
    return report.output
