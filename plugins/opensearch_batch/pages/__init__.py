"""Pages in Airflow's UI: a run's plan, model, jobs and report; all batches. For a person to read."""
