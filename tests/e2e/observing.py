"""Where the stack sends its metrics and its lineage: a UDP port read by a thread, and a file."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

OURS = "airflow.opensearch_batch."


class Told(NamedTuple):
    """A line of StatsD with Influx' tags: `airflow.opensearch_batch.rows,dag_id=nightly:20|c`."""

    name: str
    tags: dict[str, str]
    value: float


class Observer:
    """Metrics of ours, in the order in which they came; and events of DAGs that ask for lineage."""

    def __init__(self, lineage: Path, port: int) -> None:
        self.lineage = lineage
        self.told: list[Told] = []
        transport = {"type": "file", "log_file_path": str(lineage), "append": True}
        self.settings = {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "AIRFLOW__OPENLINEAGE__SELECTIVE_ENABLE": "True",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        }

    def take(self, packet: str) -> None:
        for line in packet.splitlines():
            if line.startswith(OURS):
                series, _, rest = line.partition(":")
                name, *tags = series.split(",")
                pairs = dict(tag.split("=", 1) for tag in tags)
                self.told.append(Told(name.removeprefix(OURS), pairs, float(rest.split("|")[0])))

    def values(self, name: str, dag_id: str) -> list[float]:
        return [each.value for each in self.told if each.name == name and each.tags["dag_id"] == dag_id]

    def events(self, dag_id: str) -> list[dict[str, Any]]:
        """Of the DAG's tasks that have succeeded."""
        found = [json.loads(line) for line in self.lineage.read_text().splitlines()] if self.lineage.exists() else []
        ended = [each for each in found if each["eventType"] == "COMPLETE"]
        return [each for each in ended if each["job"]["name"].startswith(f"{dag_id}.")]


@contextmanager
def observing(folder: Path) -> Iterator[Observer]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0.5)
        observer, over = Observer(folder / "lineage.jsonl", listening.getsockname()[1]), threading.Event()

        def read() -> None:
            while not over.is_set():
                try:
                    observer.take(listening.recv(65_536).decode())
                except TimeoutError:
                    continue

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield observer
        finally:
            over.set()
            reader.join()
