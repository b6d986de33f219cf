from __future__ import annotations

from threading import Event
from types import SimpleNamespace

import pytest
from airflow.observability import stats
from airflow.utils import net

from opensearch_batch.tasks import gauges
from opensearch_batch.tasks.gauges import Gauge

NIGHTLY = SimpleNamespace(dag_id="nightly")
OTHER = SimpleNamespace(dag_id="other")


class Metrics:
    """What a metrics system has been told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []
        self.tags: list[dict[str, str]] = []

    def gauge(self, name: str, value: float, *, tags: dict[str, str]) -> None:
        self.told.append((tags["dag_id"], value))
        self.tags.append({"name": name, **tags})


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    made = Metrics()
    monkeypatch.setattr(stats, "gauge", made.gauge)
    monkeypatch.setattr(net, "get_hostname", lambda: "triggerer-1")
    return made


def settled() -> None:
    gauges._THREAD.submit(lambda: None).result()


def test_the_waits_of_a_dag_are_one_number(metrics: Metrics) -> None:
    gauge = Gauge("jobs_in_flight")
    with gauge.joined(NIGHTLY, "openai") as first:
        first(3)
        settled()
        with (
            gauge.joined(NIGHTLY, "openai") as second,
            gauge.joined(OTHER, "openai") as third,
        ):
            second(2)
            third(7)
            settled()
        settled()
        first(1)
        settled()
    settled()
    assert [value for dag, value in metrics.told if dag == "nightly"] == [3, 5, 3, 1, 0]
    assert [value for dag, value in metrics.told if dag == "other"] == [7, 0]
    assert metrics.tags[0] == {
        "name": "opensearch_batch.jobs_in_flight",
        "dag_id": "nightly",
        "provider": "openai",
        "hostname": "triggerer-1",
    }


def test_a_wait_that_breaks_takes_its_jobs_back(metrics: Metrics) -> None:
    def wait() -> None:
        with Gauge("jobs_in_flight").joined(NIGHTLY, "openai") as told:
            told(3)
            settled()
            raise ConnectionError

    with pytest.raises(ConnectionError):
        wait()
    settled()
    assert metrics.told == [("nightly", 3), ("nightly", 0)]


def test_outside_a_triggerer_nothing_is_told(metrics: Metrics) -> None:
    with Gauge("jobs_in_flight").joined(None, "openai") as told:
        told(3)
    settled()
    assert metrics.told == []


def test_a_system_that_hangs_holds_no_wait_up(monkeypatch: pytest.MonkeyPatch, metrics: Metrics) -> None:
    """The looks go on while the thread hangs, and what is told at last is the newest."""
    let_go, hangs = Event(), Event()

    def hostname() -> str:
        hangs.set()
        assert let_go.wait(10)
        return "triggerer-1"

    monkeypatch.setattr(net, "get_hostname", hostname)
    gauge = Gauge("jobs_in_flight")
    with gauge.joined(NIGHTLY, "openai") as told:
        told(1)
        assert hangs.wait(10)
        for count in range(1000):
            told(count)
        let_go.set()
        settled()
        assert metrics.told[-1] == ("nightly", 999)
        assert len(metrics.told) <= 2


def test_a_system_that_fails_is_a_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gauge(*_: object, **__: object) -> None:
        raise OSError("no buffer space")

    monkeypatch.setattr(stats, "gauge", gauge)
    with Gauge("jobs_in_flight").joined(NIGHTLY, "openai") as told:
        told(3)
    settled()
    assert "metrics are not complete: OSError: no buffer space" in caplog.text
