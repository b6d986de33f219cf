"""The sensor of a DAG: BatchSensor waits for a bundle of jobs without a worker."""

from __future__ import annotations

from opensearch_batch.tasks.wait import BatchSensor

__all__ = ["BatchSensor"]
