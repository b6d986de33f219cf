"""Batch inference through OpenSearch ML Commons, driven from Airflow.

BatchSpec -> records -> Shard -> submit -> Job -> wait -> Outcome -> fetch -> result file -> Report
spec.py   records.py  shards.py submission.py jobs.py (sensor, trigger)  (stores)   reconcile.py
"""

__version__ = "0.1.0"
