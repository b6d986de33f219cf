"""The path of BatchTrigger in Airflow's database. Waits in flight resolve the path, so the module stays."""

from opensearch_batch.tasks.wait_trigger import BatchTrigger as BatchTrigger
