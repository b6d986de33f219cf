"""The sandbox as for OpenAI (tests/sandbox/conftest.py), and each vendor's own set-up."""

from __future__ import annotations

import pytest

from tests.sandbox.bench import Run, Server
from tests.sandbox.conftest import connections, no_pauses_between_repeated_reads, run, running, server
from tests.vendors.vendors import VENDORS, Scene, Vendor, make_scene

__all__ = ["connections", "no_pauses_between_repeated_reads", "run", "running", "server"]


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    found: Vendor = request.param
    return found


@pytest.fixture
def scene(vendor: Vendor, server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> Scene:  # noqa: F811
    return make_scene(vendor, server, run, monkeypatch)
