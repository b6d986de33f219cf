"""The laptop stack: the sandbox, PostgreSQL and Airflow's four processes, on loopback only.

    keeper.py -> processes.py -> postgres.py, airflow.py, sandbox.py -> stack.py -> demo.py (run.py, search.py)

``python -m stack demo`` shows the whole thing once, ``python -m stack up`` leaves it to the user.
"""
