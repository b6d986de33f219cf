"""Batch inference through OpenSearch ML Commons, driven from Airflow.

BatchSpec -> records -> Shard -> submit -> Job -> wait -> Outcome -> fetch -> result file -> Report
spec.py   sources/   prepare/  submit/  flow/  wait/  flow/     land/     sinks/       land/

A DAG imports `operators`, `sensor` and `pipeline`. The paths `trigger.BatchTrigger` and `turn.TurnTrigger` lie in
Airflow's database, so they stay. Everything else is for this package alone.
"""

__version__ = "0.1.0"
