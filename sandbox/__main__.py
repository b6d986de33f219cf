"""`python -m sandbox --port N --data DIR`: print the address on a line of its own, serve until interrupted."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from sandbox import embedding
from sandbox.box import HEAP_BYTES, PROFILES
from sandbox.ml_commons_face.targets import EVERY_ADDRESS
from sandbox.pace import Pace
from sandbox.server import HOST, Sandbox


def pace(text: str) -> str:
    try:
        return str(Pace.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main() -> None:
    parser = argparse.ArgumentParser(prog="sandbox", description="A stand-in for OpenAI and OpenSearch ML Commons.")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one; the address is printed")
    parser.add_argument(
        "--host", default=HOST, help=f"the IPv4 address to listen on, by default {HOST}; {EVERY_ADDRESS} is every one"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps everything, made if absent")
    parser.add_argument("--pace", type=pace, default="instant", help="instant, polls:N or clock:SECONDS")
    parser.add_argument("--profile", choices=PROFILES, default="3.6.0", help="the OpenSearch version to answer as")
    parser.add_argument(
        "--private-ip",
        choices=("allow", "refuse"),
        default="allow",
        help="refuse: turn down connectors to loopback addresses, as a real server does",
    )
    parser.add_argument(
        "--heap-bytes",
        type=int,
        default=HEAP_BYTES,
        help=f"the heap of the cluster, by default {HEAP_BYTES}: a bulk body of more than a tenth of it is refused",
    )
    given = parser.parse_args()
    sandbox = Sandbox(
        given.data,
        given.pace,
        host=given.host,
        port=given.port,
        profile=given.profile,
        private_ip=given.private_ip,
        heap_bytes=given.heap_bytes,
    )
    # The first batch should not wait for the weights; nothing else needs them.
    threading.Thread(target=embedding.load, daemon=True).start()
    sandbox.serve(lambda: print(f"sandbox: {sandbox.url}", flush=True))


if __name__ == "__main__":
    main()
