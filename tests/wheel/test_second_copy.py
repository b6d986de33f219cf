"""The wheel and a copied plugins folder on one machine, as Airflow's own plugin manager finds them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.wheel.conftest import PACKAGE, Airflow

LOADED = """
import json, logging
logging.disable(logging.CRITICAL)
from airflow import plugins_manager
import opensearch_batch.operators
plugins, errors = plugins_manager._get_plugins()
print(json.dumps([opensearch_batch.__file__, sorted(p.name for p in plugins if p.name), errors]))
"""
OURS = "opensearch_batch"


def loaded(airflow: Airflow, *first: Path) -> tuple[Path, list[str], list[str]]:
    """The folder that Python took, the plugins, the messages about those that did not load."""
    used, plugins, errors = json.loads(airflow(LOADED, *first).stdout.splitlines()[-1])
    return Path(used).parent, plugins, list(errors.values())


def make_older(copied: Path) -> None:
    init = copied / "__init__.py"
    older, changes = re.subn(r'__version__ = ".*"', '__version__ = "0.0.9"', init.read_text(encoding="utf-8"))
    assert changes == 1
    init.write_text(older, encoding="utf-8")


def test_the_wheel_needs_no_plugins_folder(airflow: Airflow, installed: Path) -> None:
    used, plugins, errors = loaded(airflow, installed)
    assert (used, errors) == (installed / OURS, [])
    assert OURS in plugins


def test_a_copied_folder_alone_goes_on_working(airflow: Airflow, copied: Path) -> None:
    used, plugins, errors = loaded(airflow)
    assert (used, errors) == (copied, [])
    assert OURS not in plugins


def test_both_of_one_version_do_no_harm(airflow: Airflow, installed: Path, copied: Path) -> None:
    used, plugins, errors = loaded(airflow, installed)
    assert (used, errors) == (installed / OURS, [])
    assert OURS in plugins


def test_two_versions_are_one_message_that_names_both_folders(airflow: Airflow, installed: Path, copied: Path) -> None:
    make_older(copied)
    used, _, [message] = loaded(airflow, installed)
    assert used == installed / OURS
    version = _version_of(PACKAGE)
    assert message.startswith(
        f"two versions of opensearch_batch: {version} in {used} is used, 0.0.9 in {copied} is not."
    )


def test_a_copied_folder_that_comes_first_is_named_as_the_one_in_use(
    airflow: Airflow, installed: Path, copied: Path
) -> None:
    make_older(copied)
    used, _, [message] = loaded(airflow, copied.parent, installed)
    assert used == copied
    assert f"0.0.9 in {copied} is used, {_version_of(PACKAGE)} in {installed / OURS} is not" in message


def test_a_copy_from_before_versions_is_another_one_too(airflow: Airflow, installed: Path, copied: Path) -> None:
    (copied / "__init__.py").write_text('"""As in the first copies."""\n', encoding="utf-8")
    _, _, [message] = loaded(airflow, installed)
    assert f"unknown in {copied} is not" in message


def _version_of(package: Path) -> str:
    import opensearch_batch

    assert Path(opensearch_batch.__file__).parent == package
    return opensearch_batch.__version__
