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


def install(folder: Path, more: str = "", value: str = "tiny_batch") -> Path:
    """As pip leaves it: a module, and a dist-info that names it."""
    (folder / "tiny_batch.py").write_text(textwrap.dedent(TINY) + textwrap.dedent(more))
    about = folder / "tiny_batch-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-batch\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text(f"[opensearch_batch.providers]\ntiny = {value}\n")
    return folder


def run(code: str, installed: Path) -> str:
    path = f"{installed}:{PLUGINS}"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    return ran.stdout.strip()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    return install(tmp_path)


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
    taken, refused = run(SAY, installed).splitlines()
    assert taken == "/v1/tiny tiny_default https://tiny.example/v1"
    assert refused == "unknown provider 'tin'; did you mean 'tiny'?"


def test_without_it_the_name_is_unknown() -> None:
    code = "from opensearch_batch import providers\nproviders.get('tiny')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(PLUGINS)})
    assert "SpecError: unknown provider 'tiny'; known: " in ran.stderr


REFUSED = """
from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.providers.store import store_class

try:
    store_class(providers.get("tiny"))
except SpecError as error:
    print(error)
"""
ORIGIN = "provider 'tiny' (entry point 'tiny_batch' of tiny-batch 0.1) "
HALF_A_STORE = """
    STORE = "tiny_batch.Half"
    from opensearch_batch.providers.openai.store import OpenAIFiles
    class Half(OpenAIFiles):
        list_jobs = settings = None
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("del read_many, STORE, passes", f"{ORIGIN}lacks STORE, read_many, passes: "),
        ("passes = True", f"{ORIGIN}lacks passes: "),
        ("NAME = 'other'", f"{ORIGIN}has the NAME 'other': "),
        ("import tiny_batch_sdk", f"{ORIGIN}cannot be loaded: ModuleNotFoundError: No module named 'tiny_batch_sdk'"),
        (
            "STORE = 'tiny_batch.Nowhere'",
            "provider 'tiny': STORE 'tiny_batch.Nowhere' cannot be loaded: AttributeError",
        ),
        ("STORE = 'tiny_shop.Files'", "provider 'tiny': STORE 'tiny_shop.Files' cannot be loaded: ModuleNotFoundError"),
        ("STORE = 'Files'", "provider 'tiny': STORE 'Files' cannot be loaded: ValueError"),
        (HALF_A_STORE, "provider 'tiny': STORE 'tiny_batch.Half' lacks settings, list_jobs: "),
    ],
)
def test_what_it_lacks_is_named_when_it_is_loaded(tmp_path: Path, more: str, said: str) -> None:
    assert run(REFUSED, install(tmp_path, more)).startswith(said)


def test_an_entry_point_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    said = run(REFUSED, install(tmp_path, value="tiny_batch:vendor"))
    assert said.startswith("provider 'tiny' (entry point 'tiny_batch:vendor' of tiny-batch 0.1) cannot be loaded: Attr")
