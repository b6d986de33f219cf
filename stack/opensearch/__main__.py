"""``python -m stack.opensearch check | fetch VERSION… | run VERSION``."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from stack import namespace
from stack.home import Home
from stack.opensearch import java, layout, maven
from stack.opensearch.node import Node
from stack.opensearch.releases import RELEASES
from stack.processes import StackError


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stack.opensearch", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="whether what the tests on real servers need is there")
    fetch = commands.add_parser("fetch", help="fetch and lay out, into the cache")
    fetch.add_argument("versions", nargs="*", default=sorted(RELEASES), metavar="VERSION")
    run = commands.add_parser("run", help="a node on loopback until Ctrl-C")
    run.add_argument("version", choices=[name for name, each in RELEASES.items() if not each.is_secured])
    run.add_argument("--home", type=Path, required=True, help="where its data is kept")
    given = parser.parse_args(argv)
    try:
        if given.command == "check":
            print(check())
        elif given.command == "fetch":
            _fetch(given.versions)
        else:
            _run(given.version, given.home)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def check() -> str:
    """What will be used, in one line; raises StackError with what is missing."""
    namespace.check()
    homes = {version: java.java_home(wanted) for version, wanted in RELEASES.items()}
    used = ", ".join(f"{version} on {home}" for version, home in homes.items())
    return f"Maven {maven.maven()}; {used}; releases in {layout.cache()}"


def _fetch(versions: list[str]) -> None:
    for version in versions:
        began = time.monotonic()
        home = layout.laid_out(version)
        print(f"{time.monotonic() - began:6.1f} s  {home}", flush=True)


def _run(version: str, path: Path) -> None:
    home = Home(path)
    home.acquire()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    began = time.monotonic()
    with Node(version, home.path / f"opensearch-{version}", home.port("OpenSearch"), home.port("transport")) as node:
        print(f"{time.monotonic() - began:6.1f} s  OpenSearch {version} on {node.url}; log in {node.log}", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("stopped", flush=True)


if __name__ == "__main__":
    sys.exit(main())
