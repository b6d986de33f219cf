"""The DAG files: they parse, cheaply, into the tasks that are documented, and they hold nothing secret."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.dags.conftest import SECRET

PIPELINE = {
    "prepare_input",
    "create_connector",
    "register_model",
    "shard.submit_batch",
    "shard.wait_for_batch",
    "shard.fetch_output",
    "prepare_repair_1",
    "repair_1.submit_batch",
    "repair_1.wait_for_batch",
    "repair_1.fetch_output",
    "report",
    "planned",
}
WRITING = {"shard.write_back", "repair_1.write_back"}
BESIDE = WRITING | {"make_index", "copy_documents", "write_reused", "carry_over", "swap_alias"}
VENDORS = ("", "_bedrock", "_cohere", "_sagemaker")
DEMOS = [f"embed_stdlib_docs{vendor}" for vendor in VENDORS]
DAGS = {
    **{f"embed_stdlib_docs{vendor}": PIPELINE | {"extract_docstrings"} for vendor in VENDORS},
    **{f"fill_stdlib_docs{vendor}": PIPELINE | WRITING | {"put_documents"} for vendor in VENDORS},
    "label_stdlib_docs": PIPELINE | {"extract_docstrings"},
    "batch_inference": PIPELINE | {"approve"},
    "nightly_batch": PIPELINE,
    "fill_embeddings": PIPELINE | WRITING | {"check_parity"},
    "change_model": PIPELINE | BESIDE | {"check_parity"},
}
ERASING = "erase_documents"
OTHERS = {"rollback_alias": {"rollback"}}
"""DAGs that send nothing to a provider."""
HEAVY = {"openai", "boto3", "botocore", "pandas", "pyarrow", "aiohttp", "requests", "genai_prices"}
FOLDER = Path(__file__).resolve().parents[2] / "dags"
MAX_LINES = 40


def test_every_file_parses_into_the_expected_dags(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {*DAGS, *OTHERS, ERASING}
    assert {name: set(bag["dags"][name]["tasks"]) for name in OTHERS} == OTHERS


def test_the_dag_that_erases_is_one_task_whose_default_removes_nothing(bag: dict[str, Any]) -> None:
    assert bag["dags"][ERASING]["tasks"] == bag["dags"][ERASING]["again"] == ["erase"]
    assert SECRET not in bag["dags"][ERASING]["serialized"]
    assert '"remove": "{{ not params.dry_run }}"' in bag["dags"][ERASING]["serialized"]


def test_parsing_loads_nothing_heavy(parsed: list[str]) -> None:
    assert "opensearch_batch.pipeline" in parsed
    assert {name.partition(".")[0] for name in parsed} & HEAVY == set()


def test_an_alias_moves_after_all_vectors_and_before_the_report(bag: dict[str, Any]) -> None:
    upstream = bag["dags"]["change_model"]["upstream"]
    assert "make_index" in upstream["copy_documents"]
    assert {"make_index", "copy_documents"} <= set(upstream["prepare_input"])
    assert WRITING | {"write_reused"} <= set(upstream["carry_over"])
    assert "carry_over" in upstream["check_parity"]
    assert "check_parity" in upstream["swap_alias"]
    assert bag["dags"]["change_model"]["rules"]["check_parity"] == "all_success", "no swap without it"
    assert "swap_alias" in upstream["report"]


@pytest.mark.parametrize("dag_id", sorted(DAGS))
class TestDag:
    def test_it_has_the_documented_tasks_also_after_serialization(self, bag: dict[str, Any], dag_id: str) -> None:
        found = bag["dags"][dag_id]
        assert set(found["tasks"]) == DAGS[dag_id]
        assert found["again"] == sorted(DAGS[dag_id])

    def test_its_tasks_are_wired_in_the_flows_order(self, bag: dict[str, Any], dag_id: str) -> None:
        upstream = bag["dags"][dag_id]["upstream"]
        assert "prepare_input" in upstream["create_connector"]
        assert "create_connector" in upstream["register_model"]
        assert {"register_model", "prepare_input"} <= set(upstream["shard.submit_batch"])
        assert "shard.submit_batch" in upstream["shard.wait_for_batch"]
        assert "shard.wait_for_batch" in upstream["shard.fetch_output"]
        assert "shard.fetch_output" in upstream["prepare_repair_1"]
        assert {"prepare_repair_1", "register_model"} <= set(upstream["repair_1.submit_batch"])
        assert {"shard.fetch_output", "repair_1.fetch_output"} <= set(upstream["report"])

    def test_its_report_waits_for_what_it_writes(self, bag: dict[str, Any], dag_id: str) -> None:
        writing = WRITING & DAGS[dag_id]
        assert writing <= set(bag["dags"][dag_id]["upstream"]["report"])

    def test_it_waits_in_the_triggerer(self, bag: dict[str, Any], dag_id: str) -> None:
        assert bag["dags"][dag_id]["deferrable"]["shard.wait_for_batch"] is True

    def test_its_report_speaks_whatever_happened_before(self, bag: dict[str, Any], dag_id: str) -> None:
        rules = bag["dags"][dag_id]["rules"]
        assert (rules.pop("report"), rules.pop("prepare_repair_1")) == ("all_done", "all_done_min_one_success")
        assert rules.pop("carry_over", "none_failed") == "none_failed", "a repair round without rows is skipped"
        assert rules.pop("check_parity", "none_failed") in ("none_failed", "all_success"), "without changes too"
        assert set(rules.values()) == {"all_success"}

    def test_its_serialized_form_holds_no_secret(self, bag: dict[str, Any], dag_id: str) -> None:
        text = bag["dags"][dag_id]["serialized"]
        assert "opensearch_batch" in text
        assert SECRET not in text
        assert "password" not in text.lower()

    def test_its_file_is_thin(self, bag: dict[str, Any], dag_id: str) -> None:
        path = Path(bag["dags"][dag_id]["file"])
        assert path.parent == FOLDER
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_the_folder_under_test_is_the_projects_own() -> None:
    assert os.environ["AIRFLOW__CORE__DAGS_FOLDER"] == str(FOLDER)
