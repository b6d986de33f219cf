"""A page a run in Airflow's UI: plan, connector and model, report, for a person to read."""
