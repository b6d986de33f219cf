"""One Airflow home for the whole test run, set before anything imports Airflow: it reads its settings at import."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path

import certifi
import pytest

from tests.groups import pytest_collection_modifyitems, pytest_xdist_make_scheduler
from tests.nodes import homes, nodes, real

__all__ = ["homes", "nodes", "pytest_collection_modifyitems", "pytest_xdist_make_scheduler", "real"]

ROOT = Path(__file__).resolve().parents[1]
HOME = Path(tempfile.mkdtemp(prefix="opensearch-batch-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# Each HTTP client reads the authorities anew, 50 ms for all of them, and none is asked about: tests stay on loopback.
END = "-----END CERTIFICATE-----\n"
AUTHORITY = HOME / "authority.pem"
AUTHORITY.write_text(certifi.contents().partition(END)[0] + END)

os.environ.update(
    {
        "AWS_CA_BUNDLE": str(AUTHORITY),
        "SSL_CERT_FILE": str(AUTHORITY),
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "BATCH_DATA_URI": f"file://{HOME}/data",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("plugins", "dags", ".")),
    }
)


# Airflow's and the SDKs' modules are half a million objects, there to the end: no collection need go through them.
gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


# A promise that holds at the second try does not hold. Other tests may be tried again, where CI says so.
PROMISES = ("test_promises.py", "test_killed.py")


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.name in PROMISES:
        item.add_marker(pytest.mark.flaky(reruns=0))


@pytest.fixture(autouse=True)
def no_leftover_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests name their connections themselves."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
        monkeypatch.delenv(name)


@pytest.fixture(params=["amazon provider", "boto3 alone"])
def read_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads a connection of type aws: the provider is not everywhere."""
    from opensearch_batch.providers.aws import session as aws

    assert aws.has_amazon()
    if request.param == "boto3 alone":
        monkeypatch.setattr(aws, "has_amazon", lambda: False)
