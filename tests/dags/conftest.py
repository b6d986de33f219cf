"""Each question about parsing is asked in an interpreter of its own, once: what one import leaves hides others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest

# Collections of garbage would be a quarter of what these import.
PARSE = """
import gc, json, sys
gc.disable()
import airflow.sdk
before = set(sys.modules)
from pathlib import Path
import importlib.util
for path in sorted(Path({folder!r}).glob("*.py")):
    spec = importlib.util.spec_from_file_location("parsed_" + path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
print(json.dumps(sorted(set(sys.modules) - before)))
"""

SERIALIZE = """
import gc, json
gc.disable()
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag(dag_folder={folder!r})
found = {{}}
for dag_id, dag in bag.dags.items():
    data = DagSerialization.to_dict(dag)
    again = DagSerialization.from_dict(json.loads(json.dumps(data)))
    found[dag_id] = {{
        "file": dag.fileloc,
        "tasks": list(dag.task_ids),
        "again": sorted(again.task_ids),
        "upstream": {{task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks}},
        "deferrable": {{task.task_id: task.partial_kwargs.get("deferrable", True) if task.is_mapped
                        else getattr(task, "deferrable", None) for task in dag.tasks}},
        "rules": {{task.task_id: str(task.trigger_rule.value) for task in dag.tasks}},
        "pools": sorted({{task.pool for task in dag.tasks}}),
        "serialized": json.dumps(data),
    }}
print(json.dumps({{"dags": found, "errors": bag.import_errors}}))
"""


def fresh(code: str, folder: str, **environment: str) -> Any:
    """What the code prints last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code).format(folder=folder)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SECRET = "sk-dag-not-a-secret"


@pytest.fixture(scope="session")
def parsed() -> list[str]:
    """Modules that parsing all DAG files adds to those of airflow.sdk."""
    found: list[str] = fresh(PARSE, os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    return found


@pytest.fixture(scope="session")
def bag() -> dict[str, Any]:
    """What Airflow's own DagBag makes of the folder, with connections that must not show in it."""
    connection = json.dumps({"conn_type": "http", "host": "127.0.0.1", "password": SECRET})
    found: dict[str, Any] = fresh(
        SERIALIZE,
        os.environ["AIRFLOW__CORE__DAGS_FOLDER"],
        AIRFLOW_CONN_OPENAI_DEFAULT=connection,
        AIRFLOW_CONN_OPENSEARCH_DEFAULT=connection,
    )
    return found
