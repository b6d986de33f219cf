"""How many jobs were live at once, as the sandbox itself saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.patience import until

if TYPE_CHECKING:
    from tests.contract.cluster import Cluster
    from tests.contract.conftest import Provider


def test_the_most_jobs_live_at_once_are_remembered(cluster: Cluster, provider: Provider) -> None:
    cluster.ok("POST", "/_sandbox/pace", {"pace": "clock:3600"})
    for _ in range(3):
        provider.start()
    now = cluster.ok("DELETE", "/_sandbox/high-water")
    assert (now["jobs"], now["live_jobs"], now["bytes"] == now["live_bytes"] > 0) == (3, 3, True)

    cluster.ok("POST", "/_sandbox/pace", {"pace": "instant"})
    until(lambda: cluster.ok("GET", "/_sandbox/high-water"), lambda found: found["live_jobs"] == 0)
    provider.end(provider.start())
    after = cluster.ok("GET", "/_sandbox/high-water")
    assert (after["jobs"], after["bytes"], after["live_bytes"]) == (3, now["bytes"], 0)

    assert cluster.ok("DELETE", "/_sandbox/high-water") == dict.fromkeys(
        ("jobs", "bytes", "live_jobs", "live_bytes"), 0
    )
