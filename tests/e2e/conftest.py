"""One stack for all e2e tests of a session: starting it costs more than most of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stack.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The project's own DAGs and plugins on a fresh home. A test that kills a part starts it again.

    The home is not in pytest's own folder, which its next start closes to other users, PostgreSQL's too.
    """
    with tempfile.TemporaryDirectory(prefix="opensearch-batch-e2e-") as home, Stack(Path(home)) as started:
        yield started
