"""`--private-ip refuse`: a provider on a private address, as real servers treat it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.server import Sandbox
from tests.contract.cluster import Cluster, rows
from tests.contract.conftest import Provider

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = (
    400,
    "illegal_argument_exception",
    "Remote inference host name has private ip address: 127.0.0.1",
)


def test_the_setting_opens_submission_after_a_redeploy_but_never_status_and_cancel(tmp_path: Path) -> None:
    with Sandbox(tmp_path, private_ip="refuse") as box:
        cluster, provider = Cluster(box.url), Provider(box.url)
        model_id = cluster.model()
        submit = f"/models/{model_id}/_batch_predict"
        body = {"parameters": {"input_file_id": provider.upload(rows(1)), "key": "k"}}
        assert cluster.refused("POST", submit, body) == REFUSED
        setting = {"persistent": {"plugins.ml_commons.connector.private_ip_enabled": True}}
        cluster.ok("PUT", "/_cluster/settings", setting)
        assert cluster.refused("POST", submit, body) == REFUSED
        cluster.ok("POST", f"/models/{model_id}/_deploy")
        task_id = cluster.ok("POST", submit, body)["task_id"]
        assert cluster.refused("GET", f"/tasks/{task_id}") == REFUSED
        assert cluster.refused("POST", f"/tasks/{task_id}/_cancel") == REFUSED
        assert len(cluster.sandbox("ledger")) == 1
