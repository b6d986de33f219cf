"""The wheel of this checkout, and Airflow processes that have it as pip leaves it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.airflow import CHECKOUT
from stack.wheel import build

Airflow = Callable[..., "subprocess.CompletedProcess[str]"]
PACKAGE = CHECKOUT / "plugins" / "opensearch_batch"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands for site-packages: a pure wheel is installed by unpacking it."""
    folder = tmp_path_factory.mktemp("site-packages")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """An empty plugins folder."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    return folder


@pytest.fixture
def copied(plugins: Path) -> Path:
    """The package in the plugins folder, as the README says to copy it."""
    shutil.copytree(PACKAGE, plugins / "opensearch_batch", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE.parent / ".airflowignore", plugins)
    return plugins / "opensearch_batch"


@pytest.fixture
def airflow(tmp_path: Path, plugins: Path) -> Airflow:
    """Runs Python code in an Airflow of its own, whose search path begins with the folders given."""

    def run(code: str, *first: Path) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        env = kept | {
            "AIRFLOW_HOME": str(tmp_path / "home"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "PYTHONPATH": os.pathsep.join(map(str, first)),
        }
        command = [sys.executable, "-W", "ignore", "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=env, cwd=tmp_path)

    return run
