"""The wheel's plugin: says so where another version of the package lies on the machine as a copied folder.

Python takes the one that comes first on sys.path, for every import; Airflow appends its plugins folder. Copies of one
version do no harm.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from airflow.plugins_manager import AirflowPlugin

import opensearch_batch

_VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)


class SecondCopy(AirflowPlugin):
    """Registers nothing."""

    name = "opensearch_batch"

    @classmethod
    def on_load(cls, *args: object, **kwargs: object) -> None:
        """Raise RuntimeError, which Airflow logs and shows among its plugin import errors."""
        used = Path(opensearch_batch.__file__).resolve().parent
        others = other_versions(used, opensearch_batch.__version__, sys.path)
        if others:
            raise RuntimeError(two_versions(used, opensearch_batch.__version__, others))


def other_versions(used: Path, version: str, search_path: Iterable[str]) -> dict[Path, str]:
    """Of the package's folders on the search path, those with another version, which "unknown" is too."""
    folders = dict.fromkeys(Path(entry or ".").resolve() / used.name for entry in search_path)
    found = {folder: _version(folder) for folder in folders if folder != used and (folder / "__init__.py").is_file()}
    return {folder: other for folder, other in found.items() if other != version}


def two_versions(used: Path, version: str, others: dict[Path, str]) -> str:
    listed = " and ".join(f"{other} in {folder}" for folder, other in others.items())
    return (
        f"two versions of opensearch_batch: {version} in {used} is used, {listed} is not. Remove one: delete the "
        "copied folder, or `pip uninstall opensearch-batch`."
    )


def _version(folder: Path) -> str:
    stated = _VERSION.search((folder / "__init__.py").read_text(encoding="utf-8"))
    return stated[1] if stated else "unknown"
