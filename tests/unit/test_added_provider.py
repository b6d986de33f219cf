"""A provider of another package: an entry point and a module like those here, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"

TINY = """
    from opensearch_batch.providers.openai.provider import *  # the protocol of a vendor that speaks the same language
    NAME = "tiny"
    CONNECTION = "tiny_default"
    BASE_URL = "https://tiny.example/v1"
    ENDPOINTS = ("/v1/tiny",)
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """As pip leaves it: a module, and a dist-info that names it."""
    (tmp_path / "tiny_batch.py").write_text(textwrap.dedent(TINY))
    about = tmp_path / "tiny_batch-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-batch\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[opensearch_batch.providers]\ntiny = tiny_batch\n")
    return tmp_path


SAY = """
from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.spec import BatchSpec

parts = {"input": {"uri": "file:///in"}, "output": {"uri": "file:///out"}}
spec = BatchSpec.check({"name": "n", "model": {"provider": "tiny", "name": "m"}, **parts})
print(spec.model.endpoint, spec.provider_connection, providers.get("tiny").BASE_URL)
try:
    providers.get("tin")
except SpecError as error:
    print(error)
"""


def test_it_is_found_by_its_name_and_a_spec_takes_its_defaults(installed: Path) -> None:
    path = f"{installed}:{PLUGINS}"
    ran = subprocess.run(
        [sys.executable, "-c", SAY], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    taken, refused = ran.stdout.splitlines()
    assert taken == "/v1/tiny tiny_default https://tiny.example/v1"
    assert refused == "unknown provider 'tin'; did you mean 'tiny'?"


def test_without_it_the_name_is_unknown() -> None:
    code = "from opensearch_batch import providers\nproviders.get('tiny')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(PLUGINS)})
    assert "SpecError: unknown provider 'tiny'; known: " in ran.stderr
