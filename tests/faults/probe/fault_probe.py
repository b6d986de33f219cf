"""Halts and switches in a running process, by dotted name: the product knows nothing of them.

`points.json` in the control folder names the functions, as module:qualified.name. Each is wrapped when its module has
been executed, before anybody has imported the function's name.

    orders/<id>.json      halt here: {"point", "event", "nth", "run_id", "text"}; event is enter, exit or item (of a
                          generator, after its nth value); text is a regular expression for the arguments
    orders/<id>.reached   the halted process: {"pid", "ppid", "task_id", "map_index", "try_number"}
    orders/<id>.go        the process goes on
    removed/<run id>.json names of guards that are no guards for this run

Imports nothing but the standard library, as it runs before everything else.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.abc
import importlib.machinery
import inspect
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Place:
    """A wrapped function. `guard`: its name as a switch; while the guard is removed, `instead` is returned, or what the
    function `call` (module:name) returns.
    """

    point: str
    guard: str = ""
    instead: Any = None
    call: str = ""

    def without(self, *arguments: Any, **named: Any) -> Any:
        if not self.call:
            return self.instead
        module, _, name = self.call.partition(":")
        return getattr(importlib.import_module(module), name)(*arguments, **named)


class Probe:
    """What the control folder says to this process."""

    def __init__(self, folder: Path) -> None:
        self.orders, self.removed = folder / "orders", folder / "removed"

    def is_removed(self, place: Place, arguments: tuple[Any, ...]) -> bool:
        if not place.guard or not (run_id := run_of(arguments)):
            return False
        path = self.removed / f"{run_id}.json"
        return path.exists() and place.guard in json.loads(path.read_text())

    def take(self, place: Place, event: str, arguments: tuple[Any, ...], nth: int = 0) -> Path | None:
        """The order for this moment, from now on nobody else's; None where the process need not halt."""
        if not (run_id := run_of(arguments)):
            return None
        for path in sorted(self.orders.glob("*.json")):
            with suppress(FileNotFoundError):  # another process took it
                order = json.loads(path.read_text())
                here = (order["point"], order["event"], order["run_id"]) == (place.point, event, run_id)
                if here and order["nth"] == nth and re.search(order["text"], words_of(arguments)):
                    path.rename(path.with_suffix(".taken"))
                    report(path.with_suffix(".reached"), arguments)
                    return path.with_suffix(".go")
        return None

    def halt(self, place: Place, event: str, arguments: tuple[Any, ...], nth: int = 0) -> None:
        if go := self.take(place, event, arguments, nth):
            while not go.exists():
                time.sleep(PAUSE_SECONDS)

    async def ahalt(self, place: Place, event: str, arguments: tuple[Any, ...]) -> None:
        if go := self.take(place, event, arguments):
            while not go.exists():  # noqa: ASYNC110 # another process makes the file
                await asyncio.sleep(PAUSE_SECONDS)


def run_of(arguments: tuple[Any, ...]) -> str | None:
    """The run whose task this process is, or whose trigger the first argument is."""
    own = os.environ.get("AIRFLOW_CTX_DAG_RUN_ID")
    return own or getattr(getattr(arguments[0], "task_instance", None), "run_id", None) if arguments else own


def words_of(arguments: tuple[Any, ...]) -> str:
    options = getattr(arguments[0], "_response_options", None) if arguments else None  # of an HTTP connection
    return " ".join([*map(str, arguments), *filter(None, [getattr(options, "request_url", "")])])


def report(path: Path, arguments: tuple[Any, ...]) -> None:
    """A trigger's process has many: which task waits stands in the trigger."""
    names = {"task_id": "TASK_ID", "map_index": "TASK_MAP_INDEX", "try_number": "TRY_NUMBER"}
    told = {name: os.environ.get(f"AIRFLOW_CTX_{variable}") for name, variable in names.items()}
    if told["task_id"] is None and (waiting := getattr(next(iter(arguments), None), "task_instance", None)):
        told = {name: str(getattr(waiting, name)) for name in names}
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"pid": os.getpid(), "ppid": os.getppid(), **told}))
    part.rename(path)


def wrapped(probe: Probe, place: Place, function: Any) -> Any:
    if isinstance(function, property):
        return property(wrapped(probe, place, function.fget))
    if isinstance(function, functools.cached_property):
        return property(wrapped(probe, place, function.func))
    if inspect.iscoroutinefunction(function):
        return _coroutine(probe, place, function)
    return (_generator if inspect.isgeneratorfunction(function) else _plain)(probe, place, function)


def _plain(probe: Probe, place: Place, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if probe.is_removed(place, arguments):
            return place.without(*arguments, **named)
        probe.halt(place, "enter", arguments)
        value = function(*arguments, **named)
        probe.halt(place, "exit", arguments)
        return value

    return call


def _generator(probe: Probe, place: Place, function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Iterator[Any]:
        for number, value in enumerate(function(*arguments, **named), start=1):
            probe.halt(place, "item", arguments, number)
            yield value

    return call


def _coroutine(probe: Probe, place: Place, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*arguments: Any, **named: Any) -> Any:
        await probe.ahalt(place, "enter", arguments)
        value = await function(*arguments, **named)
        await probe.ahalt(place, "exit", arguments)
        return value

    return call


def wrap(probe: Probe, module: ModuleType, places: Sequence[Place]) -> None:
    """Raise AttributeError where the module lacks a function: a point that is nowhere would never be reached."""
    for place in places:
        *holders, name = place.point.partition(":")[2].split(".")
        holder: Any = functools.reduce(getattr, holders, module)
        setattr(holder, name, wrapped(probe, place, inspect.getattr_static(holder, name)))


class Finder(importlib.abc.MetaPathFinder):
    """Finds the named modules where all are found, and wraps after their execution."""

    def __init__(self, probe: Probe, places: dict[str, list[Place]]) -> None:
        self._probe, self._places = probe, places

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._places:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def executed(module: ModuleType) -> None:
                execute(module)
                wrap(self._probe, module, self._places[name])

            spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def install(folder: Path) -> None:
    places: dict[str, list[Place]] = {}
    for entry in json.loads((folder / "points.json").read_text()):
        place = Place(**entry)
        places.setdefault(place.point.partition(":")[0], []).append(place)
    probe = Probe(folder)
    for name in [name for name in places if name in sys.modules]:
        wrap(probe, sys.modules[name], places.pop(name))
    sys.meta_path.insert(0, Finder(probe, places))
