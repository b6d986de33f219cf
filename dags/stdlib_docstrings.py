"""The demo's corpus: what the running interpreter says about its own standard library.

Real text that every machine has, with nothing to download: one record for each public module, class, function and
method with a docstring. Which ones there are depends on the Python version and the platform, so the count does too
(5,244 on CPython 3.11.7 for Linux, 1.2 MB); on one interpreter it is always the same records in the same order.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

# Importing these opens a browser, prints, needs a display, or changes the terminal.
WITH_EFFECTS = {"antigravity", "this", "idlelib", "tkinter", "turtle", "turtledemo", "readline", "rlcompleter"}
# Not for readers: one module for each character set, generated tables, samples for authors of C extensions; and
# what later versions dropped, of which setuptools installs its own copy.
NOT_DOCUMENTATION = {"distutils", "encodings", "lib2to3", "pydoc_data", "xxlimited", "xxlimited_35", "xxsubtype"}
TESTS = {"test", "tests"}


def docstrings() -> Iterator[dict[str, str]]:
    """Yield ``{"id": "json.dumps", "text": "json.dumps: Serialize ``obj`` ..."}``, each id once, ordered by module.

    The name is part of the text because a docstring rarely repeats it: "count how often each element occurs" finds
    ``collections.Counter`` with it and ``str.replace`` without.

    Imports the whole public standard library into this process. An object is reported by the module that defines
    it, so a re-export does not come twice.
    """
    modules = {name: module for name in _module_names() if (module := _imported(name)) is not None}
    seen: set[str] = set()
    for name, module in modules.items():
        for record_id, documented in _documented(name, module):
            text = inspect.cleandoc(documented.__doc__ or "").strip()
            if text and record_id not in seen and not _is_private(record_id):
                seen.add(record_id)
                yield {"id": record_id, "text": f"{record_id}: {text}"}


def write_docstrings(uri: str) -> int:
    """Write the records as JSON Lines to ``uri`` (``file://`` or object storage) and return how many there are.

    Written twice, the file is the same. A ``file://`` one appears whole, by rename, and its folder is made.
    """
    from airflow.sdk import ObjectStoragePath

    target: Any = ObjectStoragePath(uri)
    local = target.protocol == "file"
    written = target.parent / f"{target.name}.part" if local else target
    if local:
        target.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with written.open("wb") as lines:
        for record in docstrings():
            lines.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            count += 1
    if local:
        written.replace(target)
    return count


def _module_names() -> list[str]:
    names = set()
    for name in sys.stdlib_module_names:
        if _is_wanted(name):
            names.add(name)
            names.update(_submodules(name))
    return sorted(names)


def _submodules(package: str) -> Iterator[str]:
    module = _imported(package)
    for found in pkgutil.iter_modules(getattr(module, "__path__", []), f"{package}."):
        if _is_wanted(found.name):
            yield found.name
            if found.ispkg:
                yield from _submodules(found.name)


def _is_wanted(name: str) -> bool:
    top, last = name.partition(".")[0], name.rpartition(".")[2]
    return not last.startswith("_") and top not in WITH_EFFECTS | NOT_DOCUMENTATION and last not in TESTS


def _is_private(record_id: str) -> bool:
    """Also what a function makes inside itself: its name holds ``<locals>``."""
    return any(part.startswith(("_", "<")) for part in record_id.split("."))


def _imported(name: str) -> ModuleType | None:
    """The module, or None where this platform does not have it (winreg, a build without sqlite3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except (ImportError, AttributeError, OSError):
            return None


def _documented(name: str, module: ModuleType) -> Iterator[tuple[str, object]]:
    yield name, module
    for attribute, member in sorted(vars(module).items()):
        if attribute.startswith("_") or getattr(member, "__module__", None) != name:
            continue
        if inspect.isclass(member):
            yield from _documented_class(name, member)
        elif inspect.isroutine(member):
            yield f"{name}.{getattr(member, '__qualname__', attribute)}", member


def _documented_class(module: str, cls: type) -> Iterator[tuple[str, object]]:
    yield f"{module}.{cls.__qualname__}", cls
    for attribute, member in sorted(vars(cls).items()):
        if not attribute.startswith("_") and inspect.isroutine(member):
            yield f"{module}.{cls.__qualname__}.{attribute}", member
