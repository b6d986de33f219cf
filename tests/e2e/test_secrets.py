"""Keys that vendor and cluster say back in every form, in each step of a run: no byte that Airflow keeps has them."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest

from sandbox.echoes import words
from stack.run import DagRun
from tests.e2e.exposed import answers, files, pages, tables
from tests.e2e.test_repair import clear
from tests.e2e.test_runs import box, states
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stack.stack import Stack
    from tests.e2e.exposed import Place
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e

KEY = 'sk-fake/ofTheVendorMarked4f1c9a27+key="1"&<x>'
PASSWORD = 'fake/ofTheClusterMarked8b3e6d05+password="2"&<x>'
LOGIN = "batch_runner"
CLUSTER, PROVIDER = "echoed_cluster", "echoed_provider"
ALWAYS = -1
HEARD = ("create_connector", "submit_batch", "wait_for_batch", "fetch_output", "report", "failures", "manifest")
"""Of the logs and files in which somebody's words are, with the keys taken out."""

WAIT, FETCH = ("shard.wait_for_batch", 0), ("shard.fetch_output", 0)


def forms() -> dict[str, str]:
    """By name what is looked for: of each form the longest run of letters and digits, which no escaping changes, so
    that nothing hides within JSON, a URL or a table.
    """
    written = {"login and password in base64": base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()}
    for name, key in {"key": KEY, "password": PASSWORD}.items():
        in_base64 = base64.b64encode(key.encode()).decode()
        written |= {f"{name} whole": key, f"{name} reversed": key[::-1], f"{name} in base64": in_base64}
        written |= {f"{name} in a URL": quote(key, safe=""), f"{name} in JSON": json.dumps(key)[1:-1]}
    return {name: max(re.findall("[A-Za-z0-9]+", form), key=len) for name, form in written.items()}


def found_in(places: Iterable[Place]) -> Counter[tuple[str, str]]:
    """How often each form is at each place."""
    looked_for = {name: sign.encode() for name, sign in forms().items()}
    return Counter(
        {
            (place, name): content.count(sign)
            for place, content in places
            for name, sign in looked_for.items()
            if sign in content
        }
    )


@pytest.fixture
def connections(stack: Stack) -> list[str]:
    """Of this test alone, in Airflow's database as people keep them."""
    at = urlsplit(stack.cluster_url)
    cluster = {"conn_type": "http", "host": at.hostname, "port": at.port, "schema": at.scheme}
    stack.api("POST", "/connections", {"connection_id": CLUSTER, "login": LOGIN, "password": PASSWORD} | cluster)
    provider = {"conn_type": "openai", "host": f"{stack.sandbox_url}/v1", "password": KEY}
    stack.api("POST", "/connections", {"connection_id": PROVIDER} | provider)
    return [CLUSTER, PROVIDER]


def run_on_echoes(stack: Stack, box: Box) -> tuple[DagRun, list[Place]]:
    """A run in which each step hears its keys: two tasks try again, two fail and are cleared, and two rows fail for
    good. With the run what the tables had while its wait was deferred.
    """
    rows = stack.home.data / "echoed" / "rows.jsonl"
    rows.parent.mkdir(parents=True)
    rows.write_text("".join(json.dumps({"id": str(n), "text": f"text {n}"}) + "\n" for n in range(10)))
    box.pace("clock:600")
    for path, status in (("/connectors/_create", 500), ("^/v1/files$", 500)):
        box.order("echo_key", method="POST", path=path, status=status)
    box.order("echo_key", method="POST", path="^/v1/batches$", status=429)
    box.order("echo_key", method="GET", path="^/_plugins/_ml/tasks/", status=500, times=ALWAYS)
    box.order("echo_key", method="GET", path="^/v1/batches/", status=401, times=2)
    box.order("fail_rows", count=2, message=f"{words(KEY)} {words(PASSWORD)}", code="invalid_request")
    run = DagRun.trigger(stack, "echoed")
    eventually("deferred", lambda: states(run).get(WAIT) == "deferred", run.progress)
    meanwhile = list(tables(stack))

    box.order("echo_key", method="GET", path="^/v1/batches/", status=400, times=ALWAYS)
    assert run.wait() == "failed"
    assert states(run)[WAIT] == "failed"
    box.calm()
    box.order("echo_key", method="GET", path="^/v1/files/.+/content$", status=403, times=ALWAYS)
    clear(stack, run, WAIT[0])
    assert run.wait() == "failed"
    assert states(run)[FETCH] == "failed"
    box.calm()
    clear(stack, run, FETCH[0])
    assert run.wait() == "failed"
    assert states(run)[FETCH] == "success"
    return run, meanwhile


def test_no_byte_of_what_is_kept_or_shown_has_a_key(stack: Stack, box: Box, connections: list[str]) -> None:
    run, meanwhile = run_on_echoes(stack, box)
    shown = [*answers(stack, run, connections), *pages(stack, run)]
    kept = [*meanwhile, *files(stack), *tables(stack)]
    assert found_in([*shown, *kept]) == {}

    heard = [place for place, content in kept if b"Incorrect key ***" in content]
    for place in HEARD:
        assert any(place in each for each in heard), f"no step spoke of its keys in {place}"
    assert PROVIDER.encode() in dict(meanwhile)["table trigger"]
    assert any(b"Incorrect key ***" in content for place, content in shown if "/logs/" in place)
    assert LOGIN.encode() in dict(shown)[f"/api/v2/connections/{CLUSTER}"]
