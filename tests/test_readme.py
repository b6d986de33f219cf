"""The README cannot fall behind: its code runs, its spec table is whole, what it names exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from opensearch_batch.spec import BatchSpec

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fields(model: type[BaseModel], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += fields(kind, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


def test_the_spec_table_names_every_field_and_no_other() -> None:
    table = README.partition("## A spec, field by field")[2].partition("\n## ")[0]
    named = {
        name for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`([\w.]+)`", row)
    }
    assert named == set(fields(BatchSpec))


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    """By name, made from the README's own Python."""
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(code, "README.md", "exec"), names)
    return {name: names[name]() for name in ("embed_articles", "rotate_key")}


def test_the_dag_wired_by_hand_is_a_dag(dags: dict[str, Any]) -> None:
    dag = dags["embed_articles"]
    assert sorted(dag.task_ids) == ["connector", "fetch", "model", "prepare", "submit", "wait"]
    assert dag.get_task("wait").upstream_task_ids == {"submit"}
    assert dag.get_task("submit").upstream_task_ids == {"prepare", "model"}
    body = dag.get_task("connector").body
    assert (ROOT / body.removeprefix("/opt/airflow/")).is_file()


def test_the_dag_that_rotates_the_key_names_a_spec_of_the_project(dags: dict[str, Any]) -> None:
    (task,) = dags["rotate_key"].tasks
    assert task.rotate_credential
    assert BatchSpec.load(ROOT / task.spec.removeprefix("/opt/airflow/")).registered_as == "article-embedding"


def test_the_files_and_tests_it_names_exist() -> None:
    named = set(re.findall(r"`((?:dags|plugins|tests|sandbox|stack|docs)/[\w./-]+?\.\w+)(?:::(\w+))?`", README))
    named |= {(path, "") for path in re.findall(r"\]\((docs/[^)]+)\)", README)}
    assert len(named) >= 6
    for path, test in named:
        assert (ROOT / path).exists(), path
        assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8") if test else True
