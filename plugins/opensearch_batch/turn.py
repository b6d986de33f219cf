"""The path of TurnTrigger in Airflow's database. Waits in flight resolve the path, so the module stays."""

from opensearch_batch.tasks.turn_trigger import TurnTrigger as TurnTrigger
