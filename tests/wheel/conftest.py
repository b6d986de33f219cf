"""The wheel of this checkout, and an Airflow that has it as pip leaves it, a copied plugins folder, or both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stack.airflow import CHECKOUT
from stack.wheel import build

PACKAGE = CHECKOUT / "plugins" / "opensearch_batch"

# Collections of garbage would be a quarter of what is imported here.
SAY = """
import gc, json
gc.disable()
from airflow import plugins_manager
from airflow.providers_manager import ProvidersManager
import opensearch_batch.operators
plugins, errors = plugins_manager._get_plugins()
manager, ours = ProvidersManager(), "opensearch-batch"
hooks = {name: hook for name, hook in manager.hooks.items() if hook and hook.package_name == ours}
print(json.dumps({
    "used": opensearch_batch.__file__,
    "plugins": [plugin.name for plugin in plugins],
    "errors": errors,
    "version": manager.providers[ours].version if ours in manager.providers else None,
    "hooks": {name: hook.hook_class_name for name, hook in hooks.items()},
    "testable": [name for name, hook in hooks.items() if hook.connection_testable],
    "links": [name for name in manager.extra_links_class_names if name.startswith("opensearch_batch.")],
    "forms": list(manager.field_behaviours),
    "fields": list(manager.connection_form_widgets),
}))
"""


@dataclass(frozen=True)
class Found:
    """What Airflow's plugin manager and provider manager found, and what they warned of."""

    used: Path
    plugins: list[str]
    errors: list[str]
    listed: dict[str, Any]
    warnings: str


def ask_airflow(folder: Path, plugins: Path, *first: Path) -> Found:
    """In a process and a home of its own; the search path begins with the folders given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env = kept | {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "PYTHONPATH": os.pathsep.join(map(str, first)),
    }
    command = [sys.executable, "-W", "ignore", "-c", SAY]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=env, cwd=folder)
    *logged, said = ran.stdout.splitlines()
    listed = json.loads(said)
    warnings = "\n".join(logged) + ran.stderr
    return Found(Path(listed["used"]).parent, listed["plugins"], list(listed["errors"].values()), listed, warnings)


def copy_package(folder: Path) -> Path:
    """Into a new plugins folder, as the README says to."""
    folder.mkdir()
    shutil.copy(PACKAGE.parent / ".airflowignore", folder)
    shutil.copy(PACKAGE.parent / "opensearch_batch_plugin.py", folder)
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, folder / "opensearch_batch", ignore=ignored))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands for site-packages: a pure wheel is installed by unpacking it."""
    folder = tmp_path_factory.mktemp("site-packages")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture(scope="session")
def with_wheel(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("with-wheel")
    return ask_airflow(folder, folder / "no-such-folder", installed)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return copy_package(tmp_path / "plugins")
