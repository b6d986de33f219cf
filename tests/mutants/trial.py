"""Trial: tests in a process forked from one that has Airflow loaded already, with one module's code replaced."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

LOADED_ONCE = ("airflow.sdk", "httpx", "openai", "hypothesis", "orjson", "fsspec", "tenacity", "boto3", "pyarrow")
PASSED = 0


class Replaced(importlib.abc.MetaPathFinder):
    """Finds one module, and gives it other code."""

    def __init__(self, path: str, code: str) -> None:
        self._name = path.removeprefix("plugins/").removesuffix(".py").replace("/", ".")
        self._path, self._code = path, code

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


def passes(mutant: dict[str, Any] | None, tests: Sequence[str], log: Path, seconds: float) -> bool:
    """Tell whether the tests pass with the mutant's code; after so many `seconds` they do not."""
    child = os.fork()
    if not child:
        _be_tried(mutant, tests, log)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == PASSED
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _be_tried(mutant: dict[str, Any] | None, tests: Sequence[str], log: Path) -> None:
    code: int = 1
    try:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if mutant:
            sys.meta_path.insert(0, Replaced(mutant["file"], mutant["code"]))
        import pytest

        code = int(pytest.main(["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))
    finally:
        os._exit(code)
