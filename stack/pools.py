"""The pools that the DAGs name: Airflow never runs a task whose pool does not exist."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx

from stack.processes import StackError

if TYPE_CHECKING:
    from pathlib import Path


def make_pools(airflow: httpx.Client, dags: Path) -> None:
    """Those of ``pools.json`` beside the DAGs, where there is one; a pool that is there is left as it is."""
    listed = dags / "pools.json"
    if not listed.exists():
        return
    for name, pool in json.loads(listed.read_text(encoding="utf-8")).items():
        answer = airflow.post("/api/v2/pools", json={"name": name, **pool})
        if answer.is_error and answer.status_code != httpx.codes.CONFLICT:
            raise StackError(f"pool {name}: HTTP {answer.status_code} {answer.text[:500]}")
