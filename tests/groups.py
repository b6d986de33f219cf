"""Which tests one worker of pytest-xdist runs together, as they share what is costly to start; the longest first.

With `--dist loadgroup --no-loadscope-reorder` groups are handed out in this order. All others go file by file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.nodes import RELEASED

TESTS = Path(__file__).parent
# Of one Airflow each. What kills parts of it and what orders trouble in its sandbox would disturb others in the same.
LONGEST_FIRST = {
    "e2e/test_runs.py": "stack 1",
    "e2e/test_vendors.py": "stack 1",
    "e2e/test_admission.py": "stack 2",
    "e2e/test_bundles.py": "stack 2",
    "e2e/test_repair.py": "stack 2",
    "e2e/test_stack.py": "stack 2",
    "compose/test_rehearsal.py": "compose",
    "real/test_secured_job.py": "secured node",
    "real/test_secured_refusals.py": "secured node",
    "real/test_secured_roles.py": "secured node",
    "real/test_several_nodes.py": "several nodes",
}


def arrange(items: list[pytest.Item]) -> None:
    """Mark each with its group, and bring the longest groups to the front; pytest's order holds within a group."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    groups = (*dict.fromkeys(LONGEST_FIRST.values()), *map(node_of, RELEASED))
    place = {group: place for place, group in enumerate(groups)}
    items.sort(key=lambda item: place.get(group_of(item), len(place)))


def group_of(item: pytest.Item) -> str:
    path = item.path.relative_to(TESTS).as_posix()
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    version = next((version for version in RELEASED if _is_on(version, params)), None)
    return node_of(version) if version else LONGEST_FIRST.get(path, path)


def node_of(version: str) -> str:
    """The group of the tests that share the one real node of this version."""
    return f"node {version}"


def _is_on(version: str, params: Mapping[str, object]) -> bool:
    """As the fixtures `cluster` of tests/real and `server` of tests/contract/either have it."""
    return params.get("cluster") == version or params.get("server") == ("real", version)
