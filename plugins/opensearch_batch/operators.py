"""The operators: thin adapters between Airflow and the steps. Each works by hand, from keyword arguments, or from a
spec.

Every one may run twice, be killed at any line, be cleared. Terminal errors fail the task at once, Transient ones
are retried (three times unless the DAG says otherwise). Arguments that are given win over the spec's.
"""

from __future__ import annotations

from opensearch_batch.tasks.model import CreateConnectorOperator, RegisterModelOperator
from opensearch_batch.tasks.output import FetchOutputOperator, ReportOperator
from opensearch_batch.tasks.prepare import PrepareInputOperator
from opensearch_batch.tasks.repair import PrepareRepairOperator
from opensearch_batch.tasks.submit import CancelBatchOperator, SubmitBatchOperator

__all__ = [
    "CancelBatchOperator",
    "CreateConnectorOperator",
    "FetchOutputOperator",
    "PrepareInputOperator",
    "PrepareRepairOperator",
    "RegisterModelOperator",
    "ReportOperator",
    "SubmitBatchOperator",
]
