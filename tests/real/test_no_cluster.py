"""No ML Commons where the connection points to: a cluster without the plugin, or a wrong host."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import Unavailable
from stack.home import free_port
from stack.opensearch import layout
from stack.opensearch.node import ML_SETTINGS, Node
from tests.real.by_hand import create_connector

if TYPE_CHECKING:
    from tests.real.by_hand import Use
    from tests.sandbox.bench import Run

pytestmark = pytest.mark.usefixtures("testnet")
VERSION = "2.19.6"


@pytest.fixture
def without_plugins(homes: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """Not started: a release as it is fetched, its folder of plugins empty."""
    whole = layout.laid_out(VERSION)
    monkeypatch.setenv(layout.CACHE_SETTING, str(homes / "bare"))
    shutil.copytree(whole, layout.home_of(VERSION), ignore=lambda at, names: names if at == f"{whole}/plugins" else [])
    settings = dict.fromkeys(ML_SETTINGS)
    return Node(VERSION, homes / "without-plugins", free_port(), free_port(), settings=settings)


def test_a_cluster_without_ml_commons(without_plugins: Node, run: Run, use: Use) -> None:
    with without_plugins:
        use(without_plugins.url)
        with pytest.raises(AirflowFailException, match=r"no handler found.*GET _cat/plugins must list opensearch-ml"):
            create_connector(run)


def test_a_host_that_nobody_knows(run: Run, use: Use) -> None:
    use("http://no-such-host.invalid:9200")
    with pytest.raises(Unavailable, match=r"no answer from the cluster .*Is it up, and the connection's host right\?"):
        create_connector(run)
