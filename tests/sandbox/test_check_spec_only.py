"""The check of a spec alone: no Airflow, no cluster, no key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sandbox.bench import MODEL, Run
from tests.sandbox.checking import CHAT, reading, spec

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("what", "sections", "says"),
    [
        (
            "model.output_schema",
            {"model": {**CHAT, "output_schema": "s3://nowhere@corpus/label.json"}},
            "s3://nowhere@corpus/label.json is not asked for: Airflow's connections read it",
        ),
        (
            "model.output_schema",
            {"model": {**CHAT, "output_schema": "${NO_SUCH}/label.json"}},
            "NO_SUCH is not set here",
        ),
        (
            "model.output_schema",
            {"model": {**CHAT, "output_schema": "file:///labels/{partition}.json"}},
            "is another object in each run",
        ),
        (
            "input.template",
            {"model": CHAT, **reading(template="s3://nowhere@corpus/a.j2")},
            "s3://nowhere@corpus/a.j2 is",
        ),
    ],
)
def test_the_spec_alone_asks_for_nothing_elsewhere(checked: Any, what: str, sections: Any, says: str) -> None:
    status, found = checked("--spec-only", **sections)
    assert (status, found[what][0]) == (0, "?")
    assert says in found[what][1]


def test_files_of_this_machine_are_read_with_the_spec_alone(
    checked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_TEST_ROOT", f"file://{tmp_path}")
    schema = {"type": "object", "properties": {"topic": {"type": "string"}}}
    (tmp_path / "label.json").write_text(json.dumps(schema))
    (tmp_path / "a.j2").write_text("{{ title }} {% if lang is defined %}{{ lang }}{% endif %}")
    model = {**CHAT, "output_schema": "${BATCH_TEST_ROOT}/label.json"}
    _, found = checked("--spec-only", model=model, **reading(template="${BATCH_TEST_ROOT}/a.j2"))
    assert found["model.output_schema"] == ("ok", "an object of topic; the vendor is told")
    assert found["input.template"] == ("ok", "asks each row for lang, title")
    (tmp_path / "b.j2").write_text("{% if title %}{{ title }}")
    status, found = checked("--spec-only", model=CHAT, **reading(template="${BATCH_TEST_ROOT}/b.j2"))
    assert (status, found["input.template"][0]) == (1, "NOT OK")
    assert "line 1: Unexpected end of template" in found["input.template"][1]


def test_how_texts_are_cut_is_said_and_what_cannot_be_cut_so(checked: Any) -> None:
    cut = {"size": 100, "unit": "characters", "overlap": 10}
    _, found = checked("--spec-only", input={"uri": "file:///in.jsonl", "chunks": cut})
    assert found["input.chunks"] == ("ok", "at most 100 characters, 10 overlap; with their texts in results")
    _, found = checked("--spec-only", input={"uri": "file:///in.jsonl", "chunks": {"size": 9000}})
    assert found["input.chunks"] == ("NOT OK", "input.chunks.size is 9000 tokens, and the model takes 8192")


SPEC_ONLY = """
import sys
from opensearch_batch.check.__main__ import main
status = main(["--spec-only", sys.argv[1]])
print(status, *sorted(name for name in sys.modules if name.partition(".")[0] == "airflow"))
"""


def test_the_spec_alone_needs_no_airflow(run: Run) -> None:
    path = run.folder / "before.yaml"
    for provider, model in (("openai", MODEL), ("cohere", "embed-v4.0")):
        path.write_text(yaml.safe_dump(spec(run.folder, model={"provider": provider, "name": model})))
        ran = subprocess.run(
            [sys.executable, "-c", SPEC_ONLY, str(path)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(ROOT / "plugins")},
        )
        assert ran.stdout.splitlines()[-1] == "0"
        assert "ok      libraries: " in ran.stdout
