"""Trial: tests in a process forked from one that has Airflow loaded already, with one module's code replaced at import.

It is for changes outside of functions, as the tests' own modules are read anew: some seconds for each.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

from tests.mutants.forks import ended_well, forked, to, told
from tests.mutants.suite import OPTIONS
from tests.mutants.swap import name_of

LOADED_ONCE = ("airflow.sdk", "httpx", "openai", "hypothesis", "orjson", "fsspec", "tenacity", "boto3", "pyarrow")


class Replaced(importlib.abc.MetaPathFinder):
    """Finds one module, and gives it other code."""

    def __init__(self, path: str, code: str) -> None:
        self._name, self._path, self._code = name_of(path), path, code

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        loader = _Given(fullname, os.path.abspath(self._path))
        loader.code = self._code.encode()
        return importlib.util.spec_from_loader(fullname, loader)


class _Given(SourceFileLoader):
    code = b""

    def get_code(self, fullname: str) -> Any:
        return compile(self.code, self.path, "exec", dont_inherit=True)


def load_once() -> None:
    """Airflow reads its settings at import: the tests' conftest sets them."""
    import tests.conftest  # noqa: F401

    for name in LOADED_ONCE:
        importlib.import_module(name)
    ours = [name for name in sys.modules if name.startswith("opensearch_batch")]
    for name in ours:
        del sys.modules[name]


def passes(mutant: dict[str, Any], tests: Sequence[str], log: Path, seconds: float) -> bool:
    """Tell whether the tests pass with the mutant's code; after so many `seconds` they do not.

    Raise RuntimeError where the trial itself fails.
    """

    def tried() -> int:
        import pytest

        to(log)
        sys.meta_path.insert(0, Replaced(mutant["file"], mutant["code"]))
        return int(pytest.main([*OPTIONS, "-x", f"--basetemp={log.parent / 'tests'}", *tests]))

    return told(ended_well(forked(tried), seconds), log) == 0
