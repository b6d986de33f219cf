"""``python -m stack demo`` and ``python -m stack up``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from stack.airflow import CHECKOUT
from stack.demo import empty_summary, run_demo, succeeded
from stack.keeper import PR_SET_PDEATHSIG, prctl
from stack.opensearch import layout
from stack.opensearch.releases import RELEASES
from stack.processes import StackError
from stack.run import wait_for_dag
from stack.screen import Screen
from stack.several import SeveralMachines
from stack.stack import Stack
from stack.vendors import VENDORS, dag_of, set_up

if TYPE_CHECKING:
    from types import FrameType

EXECUTORS = {"local": Stack, "celery": SeveralMachines}
UNSECURED = [version for version, each in RELEASES.items() if not each.is_secured]
# Of the DAGs only these run when somebody says so; nightly_batch has a schedule and stays paused.
READY_TO_RUN = (*map(dag_of, VENDORS), "batch_inference")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked for the end. Not an Exception: only ``main`` handles it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(argv: list[str] | None = None) -> int:
    given = _arguments(argv)
    _end_on_signals()
    screen = Screen()
    try:
        return _demo(given, screen) if given.command == "demo" else _up(given, screen)
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    parser.add_argument("--home", type=Path, default=CHECKOUT / ".demo", help="where everything is kept (%(default)s)")
    real = argparse.ArgumentParser(add_help=False)
    real.add_argument("--opensearch", choices=UNSECURED, help="a real OpenSearch as the cluster; needs Java and Maven")
    real.add_argument("--executor", choices=EXECUTORS, default="local", help="celery: several machines (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", parents=[real], help="run fill_stdlib_docs and show what came of it")
    demo.add_argument("--provider", choices=VENDORS, default=VENDORS[0], help="the vendor (%(default)s)")
    demo.add_argument("--pace", default="clock:6", help="of the sandbox's batches: instant, polls:N or clock:SECONDS")
    up = commands.add_parser(
        "up", parents=[real], help="Airflow with these DAGs until Ctrl-C; connections: your own AIRFLOW_CONN_*"
    )
    up.add_argument("--sandbox", action="store_true", help="the sandbox too, and connections to it")
    up.add_argument("--pace", default="clock:6", help="of the sandbox's batches: instant, polls:N or clock:SECONDS")
    return parser.parse_args(argv)


def _announce_fetch(given: argparse.Namespace, screen: Screen) -> None:
    """Minutes without a word on a slow line would look like a hang."""
    if given.opensearch and not layout.home_of(given.opensearch).exists():
        screen.line(f"          fetching OpenSearch {given.opensearch} through Maven, some 400 MB")


def _stack(given: argparse.Namespace, screen: Screen, *, with_sandbox: bool) -> Stack:
    return EXECUTORS[given.executor](
        given.home, with_sandbox=with_sandbox, opensearch=given.opensearch, pace=given.pace, on_step=screen.step
    )


def _demo(given: argparse.Namespace, screen: Screen) -> int:
    """The summary is the last line whatever happens, so that a program can read it."""
    began = time.monotonic()
    summary = empty_summary()
    _announce_fetch(given, screen)
    try:
        with _stack(given, screen, with_sandbox=True) as stack:
            run_demo(stack, screen, summary, given.provider)
            summary["seconds"] = round(time.monotonic() - began, 1)
            if screen.stays:
                _stay(stack, screen)
    except Interrupted as interrupted:
        if summary["seconds"] is None:
            raise
        screen.line(f"stopped everything ({signal.Signals(interrupted.number).name})")
    finally:
        screen.line(json.dumps(summary))
    return 0 if succeeded(summary) else 1


def _up(given: argparse.Namespace, screen: Screen) -> int:
    _announce_fetch(given, screen)
    try:
        with _stack(given, screen, with_sandbox=given.sandbox) as stack:
            if given.sandbox:
                for vendor in VENDORS:
                    set_up(vendor, stack.sandbox_url)
            for dag_id in READY_TO_RUN:
                wait_for_dag(stack, dag_id)
                stack.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
            _stay(stack, screen)
    except Interrupted as interrupted:
        if interrupted.number != signal.SIGINT:
            raise
        screen.line("stopped everything")
    return 0


def _stay(stack: Stack, screen: Screen) -> None:
    screen.line()
    screen.line(f"Airflow is at {stack.url} (no login). Ctrl-C stops everything.")
    screen.line("  Dags > embed_stdlib_docs > Trigger: the standard library's docstrings, embedded")
    screen.line("  Dags > fill_stdlib_docs > Trigger: the same in an index, with a vector in each document")
    screen.line("  Dags > batch_inference > Trigger: a form, for the texts that embed_stdlib_docs wrote")
    if stack.sandbox_url:
        screen.line(f"  {stack.sandbox_url}/_sandbox/calls: what the stand-in was asked")
    if stack.cluster_url != stack.sandbox_url:
        screen.line(f"  {stack.cluster_url}: OpenSearch")
    screen.line(f"  {stack.results_place}: results; {stack.home.logs}: logs")
    ended: set[str] = set()
    while True:
        for name in [name for name, part in stack.parts.items() if not part.running and name not in ended]:
            ended.add(name)
            screen.line(f"{stack.parts[name].failure('has ended')}\nCtrl-C, then start again.")
        time.sleep(1)


def _end_on_signals() -> None:
    """The first signal raises Interrupted, the next ones do not disturb the clearing up.

    What was ignored stays so: ``nohup``, and SIGINT of a shell's background job. Under make, whose death no terminal
    tells us about, the kernel is asked to.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(number)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    if "MAKELEVEL" in os.environ:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
