"""The contract and ten paid rows against a person's own cluster and provider: `python -m live`.

It stands beside the package, which is copied into Airflow, and not in `stack`, which is about this machine only.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Where Airflow would find the package: in its plugins folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))
