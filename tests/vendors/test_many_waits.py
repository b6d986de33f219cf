"""Hundreds of waits are side by side in a triggerer: what each of them keeps in memory."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from airflow.sdk import BaseHook

from opensearch_batch import providers
from opensearch_batch.errors import Refused
from opensearch_batch.providers.store import ProviderStore, open_store
from tests.vendors.vendors import BEDROCK, SAGEMAKER, Scene, Vendor, aws_connection

MANY, MOST_BYTES = 4, 2 << 20
ROLE = "arn:aws:iam::123456789012:role/team"


@pytest.fixture(params=(SAGEMAKER, BEDROCK), ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    found: Vendor = request.param
    return found


def store_in_use(scene: Scene) -> ProviderStore:
    """As a wait opens the store."""
    name = scene.vendor.name
    store = open_store(providers.get(name), BaseHook.get_connection(providers.get(name).CONNECTION))
    with pytest.raises(Refused):
        store.get_job("0" * 12)
    return store


@pytest.mark.parametrize("extra", [{}, {"role_arn": ROLE}], ids=["keys", "a role"])
@pytest.mark.usefixtures("read_by")
def test_a_further_wait_takes_few_megabytes(
    scene: Scene, extra: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of boto3 by itself reads the models of AWS's services, 10 to 30 MB, for itself alone."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(scene.server, **extra))
    kept = [store_in_use(scene)]
    gc.collect()
    tracemalloc.start()
    try:
        kept += [store_in_use(scene) for _ in range(MANY)]
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < MANY * MOST_BYTES
