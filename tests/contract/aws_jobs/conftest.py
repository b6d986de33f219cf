from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.aws_jobs.cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.server import Sandbox


@pytest.fixture
def cloud(box: Sandbox) -> Iterator[Cloud]:
    """The official clients, with a bucket and a model that embeds; small jobs are enough for Bedrock."""
    made = Cloud(box.url)
    made.prepare()
    yield made
    made.close()
