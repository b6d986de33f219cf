"""The probe in processes of its own: it halts where it was ordered to, and takes a guard away for one run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.control import Control
from tests.faults.steps import GUARDS, Guard, Step, steps_of
from tests.patience import until

MODULE = """
import functools
import types

def plain(*words):
    print('in', *words, flush=True)
    return 'guarded'

def items():
    yield from 'abc'

class Waits:
    task_instance = types.SimpleNamespace(run_id="run-1", task_id="shard.wait", map_index=3, try_number=2)

    def wait(self):
        print('waited', flush=True)

class Holder:
    @functools.cached_property
    def patience(self):
        return 900.0
"""
IMPORTER = """
from probed import Holder, items, plain  # by name, as the package imports
print(plain('first'), plain('second'), *items(), Holder().patience, flush=True)
"""
GUARDED = [Guard("answer", "probed:plain", "", "open"), Guard("patience", "probed:Holder.patience", "", 0.0)]


TRIGGERER = "from probed import Waits; Waits().wait()"


def started(folder: Path, control: Control, run_id: str, code: str = IMPORTER) -> subprocess.Popen[str]:
    """Of a task of the run; without `run_id` of no task."""
    (folder / "probed.py").write_text(MODULE)
    settings = dict(control.settings)
    settings["PYTHONPATH"] = os.pathsep.join([settings["PYTHONPATH"], str(folder)])
    task = {"AIRFLOW_CTX_DAG_RUN_ID": run_id, "AIRFLOW_CTX_TASK_ID": "task"} if run_id else {}
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, env={**os.environ, **settings, **task}, stdout=subprocess.PIPE, text=True)


def test_a_trigger_that_halts_names_the_task_that_waits(tmp_path: Path) -> None:
    """Its process has the triggers of many tasks; the mapped task to clear is this one."""
    step = Step("", "probed:Waits.wait", "enter")
    control = Control(tmp_path / "control", [step], [])
    ours = control.halt(step, "run-1")
    with started(tmp_path, control, "", TRIGGERER) as process:
        reached = until(lambda: ours.reached, lambda told: told is not None)
        ours.release()
        assert process.communicate()[0] == "waited\n"
    assert reached is not None
    assert {name: reached[name] for name in ("task_id", "map_index", "try_number")} == {
        "task_id": "shard.wait",
        "map_index": "3",
        "try_number": "2",
    }


@pytest.mark.parametrize(
    ("step", "before"),
    [
        (Step("", "probed:plain", "enter", "^second$"), "in first\n"),
        (Step("", "probed:plain", "exit", "second"), "in first\nin second\n"),
        (Step("", "probed:items", "item", nth=2), "in first\nin second\n"),
    ],
    ids=lambda value: getattr(value, "event", ""),
)
def test_a_process_halts_at_its_step_until_it_is_released(tmp_path: Path, step: Step, before: str) -> None:
    control = Control(tmp_path / "control", [step], [])
    ours, others = control.halt(step, "run-1"), control.halt(step, "run-2")
    with started(tmp_path, control, "run-1") as process:
        reached = until(lambda: ours.reached, lambda told: told is not None)
        assert reached == {
            "pid": process.pid, "ppid": os.getpid(), "task_id": "task", "map_index": None, "try_number": None
        }  # fmt: skip
        assert process.stdout is not None
        assert "".join(process.stdout.readline() for _ in before.splitlines()) == before
        assert process.poll() is None
        ours.release()
        assert process.stdout.read().endswith("guarded guarded a b c 900.0\n")
    assert others.reached is None


def test_a_guard_is_removed_for_one_run(tmp_path: Path) -> None:
    control = Control(tmp_path / "control", [], GUARDED)
    control.remove(["answer", "patience"], "run-1")
    without, with_guards = (started(tmp_path, control, run_id).communicate()[0] for run_id in ("run-1", "run-2"))
    assert without == "open open a b c 0.0\n"
    assert with_guards.endswith("guarded guarded a b c 900.0\n")


def test_every_step_and_guard_is_a_line_of_the_product() -> None:
    points = {step.point for vendor in ("openai", "sagemaker", "bedrock", "cohere") for step in steps_of(vendor)}
    for point in sorted(points | {guard.point for guard in GUARDS}):
        module, _, name = point.partition(":")
        found = __import__(module, fromlist=["-"])
        for part in name.split("."):
            found = getattr(found, part)
        assert found is not None, point
