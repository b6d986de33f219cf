"""``python -m tests.contract.record URL VERSION``: ask a real server what the gate asks, and keep its answers.

Writes exchanges/VERSION-gate.jsonl, in the form of the files beside it. The server's index `gate` is deleted first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from tests.contract.gate_play import STEPS, Step
from tests.contract.recordings import FOLDER


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.contract.record", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("version")
    given = parser.parse_args(argv)
    with httpx.Client(base_url=given.url, trust_env=False, timeout=60) as http:
        lines = [json.dumps(line, ensure_ascii=False) + "\n" for line in recorded(http, STEPS)]
    (FOLDER / f"{given.version}-gate.jsonl").write_text("".join(lines), encoding="utf-8")
    print(f"{len(lines)} exchanges")
    return 0


def recorded(http: httpx.Client, steps: Iterable[Step]) -> Iterator[dict[str, Any]]:
    for step in steps:
        content = step.body if isinstance(step.body, str) else None if step.body is None else json.dumps(step.body)
        headers = {"Content-Type": "application/json"} if content else {}
        answer = http.request(step.method, step.path, content=content, headers=headers)
        body = answer.json() if answer.content else None
        line: dict[str, Any] = {
            "name": step.name,
            "request": {"method": step.method, "path": step.path, "body": step.body},
            "response": {"status": answer.status_code, "body": body} if step.kept else None,
        }
        if step.masks:
            line["masks"] = sorted(step.masks)
        yield line


if __name__ == "__main__":
    raise SystemExit(main())
