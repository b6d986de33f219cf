"""A part of a stack that ends by itself."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from stack.processes import Part, StackError
from stack.stack import Stack
from tests.patience import eventually

if TYPE_CHECKING:
    from pathlib import Path


def test_a_part_that_has_ended_is_told_with_its_exit_code_and_the_end_of_its_log(tmp_path: Path) -> None:
    says = "print('no space left on device'); raise SystemExit(3)"
    scheduler = Part("scheduler", [sys.executable, "-c", says], tmp_path / "scheduler.log", os.environ, tmp_path)
    stack = Stack(tmp_path / "home")
    stack.parts["scheduler"] = scheduler
    scheduler.start()
    eventually("the scheduler has ended", lambda: not scheduler.running)

    with pytest.raises(StackError, match=r"scheduler has ended \(exit code 3\).*\nno space left on device"):
        stack.check()

    scheduler.stop()
