"""The wheel and a copied plugins folder on one machine, as Airflow's own plugin manager finds them."""

from __future__ import annotations

import re
from pathlib import Path

from opensearch_batch import __version__
from opensearch_batch.second_copy import other_versions, two_versions
from tests.wheel.conftest import Found, ask_airflow

OURS = "opensearch_batch"


def make_older(copied: Path) -> None:
    init = copied / "__init__.py"
    older, changes = re.subn(r'__version__ = ".*"', '__version__ = "0.0.9"', init.read_text(encoding="utf-8"))
    assert changes == 1
    init.write_text(older, encoding="utf-8")


def test_the_wheel_needs_no_plugins_folder(with_wheel: Found, installed: Path) -> None:
    assert (with_wheel.used, with_wheel.errors) == (installed / OURS, [])
    assert OURS in with_wheel.plugins


def test_a_copied_folder_alone_goes_on_working(tmp_path: Path, copied: Path) -> None:
    """Airflow learns of no connection types, which only a wheel's entry points tell it."""
    found = ask_airflow(tmp_path, copied.parent)
    assert (found.used, found.errors) == (copied, [])
    assert OURS not in found.plugins
    assert found.listed["version"] is None


def test_both_of_one_version_do_no_harm(tmp_path: Path, installed: Path, copied: Path) -> None:
    found = ask_airflow(tmp_path, copied.parent, installed)
    assert (found.used, found.errors) == (installed / OURS, [])
    assert OURS in found.plugins


def test_two_versions_are_one_message_that_names_both_folders(tmp_path: Path, installed: Path, copied: Path) -> None:
    make_older(copied)
    found = ask_airflow(tmp_path, copied.parent, installed)
    assert found.used == installed / OURS
    assert found.errors == [two_versions(found.used, __version__, {copied: "0.0.9"})]
    assert found.errors[0] in found.warnings
    assert found.errors[0].startswith(
        f"two versions of opensearch_batch: {__version__} in {installed / OURS} is used, 0.0.9 in {copied} is not."
    )


def test_whichever_is_not_in_use_is_the_other_one(installed: Path, copied: Path) -> None:
    make_older(copied)
    search_path = [str(copied.parent), str(installed), str(copied.parent), "/no/such/folder", "/no/archive.zip"]
    assert other_versions(installed / OURS, __version__, search_path) == {copied: "0.0.9"}
    assert other_versions(copied, "0.0.9", search_path) == {installed / OURS: __version__}
    assert other_versions(copied, __version__, search_path) == {}


def test_a_copy_from_before_versions_is_another_one_too(installed: Path, copied: Path) -> None:
    (copied / "__init__.py").write_text('"""As in the first copies."""\n', encoding="utf-8")
    assert other_versions(installed / OURS, __version__, [str(copied.parent)]) == {copied: "unknown"}
