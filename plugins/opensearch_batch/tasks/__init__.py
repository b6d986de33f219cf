"""The Airflow side: operators by step, the sensor, triggers, links."""
