"""What an unfinished run must not forget, in one file: its name, what it made, what it submitted. No secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class State:
    """A file of JSON values, written whole and by rename at every change; serves a Submitter as its Memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def get(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self._values[key] = value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f".{self.path.name}.partial")
        partial.write_text(json.dumps(self._values, indent=1), encoding="utf-8")
        partial.replace(self.path)

    def forget(self) -> None:
        """The run is finished; the next one begins anew."""
        self.path.unlink(missing_ok=True)
