"""The sandbox as for OpenAI (tests/sandbox/conftest.py), and each vendor's own set-up."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import botocore.loaders
import pytest

from tests.sandbox.bench import Run, Server
from tests.sandbox.conftest import connections, no_pauses_between_repeated_reads, run, running, server
from tests.vendors.vendors import VENDORS, Scene, Vendor, make_scene

__all__ = ["connections", "no_pauses_between_repeated_reads", "run", "running", "server"]


@pytest.fixture(autouse=True, scope="session")
def one_reading_of_the_sdks_models() -> Iterator[None]:
    """Each boto3 session reads megabytes of AWS's own models anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(botocore.loaders.create_loader))
        yield


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    found: Vendor = request.param
    return found


@pytest.fixture
def scene(vendor: Vendor, server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> Scene:  # noqa: F811
    return make_scene(vendor, server, run, monkeypatch)
