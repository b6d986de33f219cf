"""One stack for all e2e tests of a session: starting it costs more than most of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stack.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The project's own DAGs and plugins on a fresh home. A test that kills a part starts it again."""
    with Stack(tmp_path_factory.mktemp("stack")) as started:
        yield started
