"""`python -m docs_build`: write the pages of docs/ that are made from the code. tests/docs compares them with it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    sys.path.insert(0, str(ROOT / "plugins"))
    with tempfile.TemporaryDirectory() as home:
        os.environ.setdefault("AIRFLOW_HOME", home)  # Airflow makes folders there when it is imported
        from docs_build.pages import pages

        for name, text in pages().items():
            path = ROOT / name
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
