"""The transcript: one line of JSON for each call and each event, written at once, masked, without headers or bodies."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from live.masking import Mask, shown


class Transcript:
    """Appends to `path`; a run that was interrupted goes on in the same file."""

    def __init__(self, path: Path, mask: Mask) -> None:
        self.path = path
        self.mask = mask
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def call(self, to: str, method: str, path: str, status: int, seconds: float, answer: Any) -> None:
        """`seconds` until the answer began; `answer` is parsed JSON, text, or a description of bytes."""
        line = {"to": to, "method": method, "path": path, "status": status, "ms": round(seconds * 1000)}
        self._write(line | {"answer": shown(answer)})

    def event(self, event: str, **about: Any) -> None:
        self._write({"event": event, **about})

    def name_after(self, version: str) -> None:
        """Put the version into the file's name, once it is known."""
        named = self.path.with_name(f"{self.path.stem}-{version}{self.path.suffix}")
        self.path = self.path.rename(named)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    def _write(self, line: dict[str, Any]) -> None:
        dated = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **self.mask.value(line)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dated, ensure_ascii=False) + "\n")
