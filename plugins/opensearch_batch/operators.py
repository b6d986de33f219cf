"""The operators: thin adapters between Airflow and the steps, from keyword arguments or from a spec.

Every operator may run twice, be killed at any line, be cleared. Airflow fails the task at once on a Terminal error and
retries a Transient error (three times unless the DAG says otherwise). Arguments win over the spec's values. Example:

    prepared = PrepareInputOperator(
        task_id="prepare",
        input_uri="s3://aws_default@corpus/articles.jsonl",
        model="text-embedding-3-small",
        work_uri="s3://aws_default@corpus/work",
    )
    connector = CreateConnectorOperator(task_id="connector", body="/opt/airflow/dags/connector.json")
    model = RegisterModelOperator(task_id="model", name="articles", connector_id=connector.output)
    jobs = SubmitBatchOperator(task_id="submit", model_id=model.output, shards=prepared.output)
    ended = BatchSensor(task_id="wait", jobs=jobs.output)
    FetchOutputOperator(task_id="fetch", outcomes=ended.output, output_uri="s3://aws_default@corpus/embeddings")

BatchSensor comes from opensearch_batch.sensor. opensearch_batch.pipeline wires the same flow from a spec.
"""

from __future__ import annotations

from opensearch_batch.check.operator import CheckOperator
from opensearch_batch.tasks.approve import ApprovePlanOperator
from opensearch_batch.tasks.beside import (
    CarryOverOperator,
    CopyDocumentsOperator,
    MakeIndexOperator,
    SwapAliasOperator,
)
from opensearch_batch.tasks.check_parity import CheckParityOperator
from opensearch_batch.tasks.erase import EraseOperator
from opensearch_batch.tasks.model import CreateConnectorOperator, RegisterModelOperator
from opensearch_batch.tasks.output import FetchOutputOperator, ReportOperator
from opensearch_batch.tasks.prepare import PrepareInputOperator
from opensearch_batch.tasks.repair import PrepareRepairOperator
from opensearch_batch.tasks.rollback import RollbackOperator
from opensearch_batch.tasks.stragglers import AnswerStragglersOperator
from opensearch_batch.tasks.submit import CancelBatchOperator, SubmitBatchOperator
from opensearch_batch.tasks.write_back import WriteBackOperator
from opensearch_batch.tasks.write_chunks import WriteChunksOperator

__all__ = [
    "AnswerStragglersOperator",
    "ApprovePlanOperator",
    "CancelBatchOperator",
    "CarryOverOperator",
    "CheckOperator",
    "CheckParityOperator",
    "CopyDocumentsOperator",
    "CreateConnectorOperator",
    "EraseOperator",
    "FetchOutputOperator",
    "MakeIndexOperator",
    "PrepareInputOperator",
    "PrepareRepairOperator",
    "RegisterModelOperator",
    "ReportOperator",
    "RollbackOperator",
    "SubmitBatchOperator",
    "SwapAliasOperator",
    "WriteBackOperator",
    "WriteChunksOperator",
]
