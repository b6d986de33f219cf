"""README and the pages that its texts went to cannot fall behind: their code runs, what they name exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs_build.spec_fields import fields
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.assets import results_of

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to"
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEC_PAGE = (ROOT / "docs" / "reference" / "spec.md").read_text(encoding="utf-8")


def code_of(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def made_by(page: Path, containing: str = "") -> dict[str, Any]:
    """What the page's Python leaves behind, with the paths of an Airflow image those of the checkout."""
    names: dict[str, Any] = {}
    for code in [code for code in code_of(page, "python") if containing in code]:
        exec(compile(code.replace("/opt/airflow", str(ROOT)), page.name, "exec"), names)
    return names


def test_the_spec_table_names_every_field_and_no_other() -> None:
    table = SPEC_PAGE.partition("# A spec, field by field")[2].partition("\n## ")[0]
    named = {
        name for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`([\w.]+)`", row)
    }
    assert named == {name for name, _ in fields(BatchSpec)}


def test_every_field_has_a_meaning() -> None:
    assert [name for name, field in fields(BatchSpec) if not field.description] == []


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    """By name, made from the pages' own Python."""
    names = made_by(HOW_TO / "by-hand.md") | made_by(HOW_TO / "rotate-a-key.md") | made_by(ROOT / "README.md")
    names |= made_by(HOW_TO / "results.md", "@dag")
    return {name: names[name]() for name in ("embed_articles", "rotate_key", "nightly", "index_articles")}


def test_the_dag_wired_by_hand_is_a_dag(dags: dict[str, Any]) -> None:
    dag = dags["embed_articles"]
    assert sorted(dag.task_ids) == ["connector", "fetch", "model", "prepare", "submit", "wait"]
    assert dag.get_task("wait").upstream_task_ids == {"submit"}
    assert dag.get_task("submit").upstream_task_ids == {"prepare", "model"}
    assert Path(dag.get_task("connector").body).is_file()


def test_the_dag_that_rotates_the_key_names_a_spec_of_the_project(dags: dict[str, Any]) -> None:
    (task,) = dags["rotate_key"].tasks
    assert task.rotate_credential
    assert BatchSpec.load(task.spec).registered_as == "article-embedding"


def test_the_dag_of_the_readme_has_the_flows_tasks(dags: dict[str, Any]) -> None:
    assert {"prepare_input", "shard.wait_for_batch", "report"} <= set(dags["nightly"].task_ids)


def test_the_consumer_of_the_results_is_scheduled_on_what_the_dag_before_it_emits(dags: dict[str, Any]) -> None:
    (alias,) = dags["nightly"].get_task("report").outlets
    assert dags["index_articles"].timetable.asset_condition.objects == (results_of("nightly_articles"),)
    assert alias.name == "nightly_articles/results"


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md", "docs/how-to/nightly.md"])
def test_the_specs_of_the_pages_are_specs(page: str) -> None:
    text = re.sub(r"^    ", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    specs = re.findall(r"```yaml\n(name: .*?)```", text, re.DOTALL)
    assert specs
    for spec in specs:
        BatchSpec.check(yaml.safe_load(spec), page)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_files_and_tests_it_names_exist() -> None:
    named = set(re.findall(r"`((?:dags|plugins|tests|sandbox|stack|docs)/[\w./-]+?\.\w+)(?:::(\w+))?`", README))
    named |= {(path, "") for path in re.findall(r"\]\((docs/[^)]+)\)", README)}
    assert len(named) >= 6
    for path, test in named:
        assert (ROOT / path).exists(), path
        assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8") if test else True
