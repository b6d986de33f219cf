"""Python imports this module at its start, in each process whose PYTHONPATH names the folder: Airflow's, of a test."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

if folder := os.environ.get("FAULTS_CONTROL"):
    importlib.import_module("fault_probe").install(Path(folder))
