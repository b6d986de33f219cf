"""Jars and zips through the machine's own Maven, so that its settings, mirrors and local repository hold."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from stack.processes import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"
SECONDS = 900


@dataclass(frozen=True)
class Artifact:
    """One exact version; `alone` leaves out what it depends on."""

    group: str
    name: str
    version: str
    kind: str = "jar"
    alone: bool = False

    def xml(self) -> str:
        everything = "<exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>"
        exclusions = f"<exclusions>{everything}</exclusions>" if self.alone else ""
        return (
            f"<dependency><groupId>{self.group}</groupId><artifactId>{self.name}</artifactId>"
            f"<version>{self.version}</version><type>{self.kind}</type>{exclusions}</dependency>"
        )


def maven() -> str:
    """Path of `mvn`; raises StackError where there is none."""
    if (found := shutil.which("mvn")) is None:
        raise StackError(
            "Maven is needed to fetch OpenSearch, and there is no mvn on the PATH (Debian: apt install maven)"
        )
    return found


def copy(folders: Mapping[Path, Sequence[Artifact]], work: Path) -> None:
    """Fill each folder with its artifacts and what they need at run time, in one start of Maven. `work` is scratch."""
    modules = []
    for number, (folder, artifacts) in enumerate(folders.items()):
        name = f"part-{number}"
        (work / name).mkdir()
        dependencies = "".join(artifact.xml() for artifact in artifacts)
        plugin = f"<properties><outputDirectory>{folder}</outputDirectory></properties>"
        (work / name / "pom.xml").write_text(_pom(name, f"{plugin}<dependencies>{dependencies}</dependencies>"))
        modules.append(f"<module>{name}</module>")
    (work / "pom.xml").write_text(_pom("all", f"<modules>{''.join(modules)}</modules>"))
    command = [maven(), "-q", "-B", "-f", str(work / "pom.xml"), COPY, "-DincludeScope=runtime"]
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    if ended.returncode != 0:
        said = "\n".join(ended.stdout.decode(errors="replace").splitlines()[:10])
        raise StackError(f"Maven could not fetch OpenSearch's artifacts:\n{said}")


def optional_dependencies(pom: Path) -> list[Artifact]:
    """What a pom marks optional and a distribution has all the same (log4j-core, jts-core, spatial4j, ...)."""
    found = []
    for dependency in ElementTree.parse(pom).iter(f"{NAMESPACE}dependency"):
        if dependency.findtext(f"{NAMESPACE}optional") == "true":
            group, name, version = (
                dependency.findtext(f"{NAMESPACE}{part}", "") for part in ("groupId", "artifactId", "version")
            )
            found.append(Artifact(group, name, version, alone=True))
    return found


def _pom(name: str, content: str) -> str:
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        f"<groupId>stack</groupId><artifactId>{name}</artifactId><version>1</version><packaging>pom</packaging>"
        f"{content}</project>\n"
    )
