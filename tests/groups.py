"""Which tests one worker of pytest-xdist runs together, as they share what is costly to start; the longest first.

All others go file by file. (`--dist loadgroup` of pytest-xdist 3.8 groups nothing with pytest 9.2, and says nothing.)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.nodes import RELEASED

if TYPE_CHECKING:
    from xdist.remote import Producer

# Two Airflows for the e2e tests, one after the other in each: more at the same time make all slower on two cores, and
# one alone is the last to end, beside workers that have nothing more to do.
LONGEST_FIRST = {
    "tests/e2e/test_runs.py": "a stack",
    "tests/e2e/test_vendors.py": "a stack",
    "tests/e2e/test_admission.py": "a stack",
    "tests/e2e/test_assets.py": "a stack",
    "tests/e2e/test_acts.py": "a stack",
    "tests/e2e/test_bundles.py": "a stack",
    "tests/e2e/test_fill.py": "a stack",
    "tests/e2e/test_change.py": "a stack",
    "tests/e2e/test_repair.py": "a stack",
    "tests/e2e/test_odd_answers.py": "a stack",
    "tests/e2e/test_secrets.py": "a stack",
    "tests/e2e/test_stack.py": "a stack",
    "tests/e2e/test_upgrade.py": "upgraded stack",
    "tests/e2e/test_tutorial.py": "tutorial",
    "tests/e2e/test_command.py": "a command",
    "tests/compose/test_rehearsal.py": "compose",
    "tests/e2e/test_approval.py": "a second stack",
    "tests/e2e/test_labels.py": "a second stack",
    "tests/e2e/test_two_flows.py": "a second stack",
    "tests/e2e/test_stragglers.py": "a second stack",
    "tests/e2e/test_observed.py": "a second stack",
    "tests/e2e/test_pages.py": "a second stack",
    "tests/real/test_secured_index.py": "secured node",
    "tests/real/test_secured_job.py": "secured node",
    "tests/real/test_secured_refusals.py": "secured node",
    "tests/real/test_secured_roles.py": "secured node",
    "tests/real/test_secured_teams.py": "secured node",
    "tests/real/test_several_nodes.py": "several nodes",
}
# The parameters of a test that shares the one real node of a version; `sandbox-2.19.6` is none.
ANY = "|".join(map(re.escape, RELEASED))
ON_A_NODE = re.compile(rf"^tests/(?:real|contract/either|index)/.*\[(?:.*-)?(?<!sandbox-)({ANY})[-\]]")
ORDER = [*dict.fromkeys(LONGEST_FIRST.values()), *RELEASED]


def group_of(node_id: str) -> str:
    on_a_node = ON_A_NODE.match(node_id)
    path = node_id.partition("::")[0]
    return on_a_node[1] if on_a_node else LONGEST_FIRST.get(path, path)


def place_of(group: str) -> int:
    return ORDER.index(group) if group in ORDER else len(ORDER)


class Grouped(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Grouped:
    config.option.loadscopereorder = False
    return Grouped(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pytest's own order holds within a group, and among the others."""
    items.sort(key=lambda item: place_of(group_of(item.nodeid)))
