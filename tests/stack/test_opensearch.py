"""What can be said about fetching and starting a real OpenSearch without doing it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stack.opensearch import java, layout, maven
from stack.opensearch.maven import Artifact
from stack.opensearch.node import Node
from stack.opensearch.releases import RELEASES
from stack.processes import StackError

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><dependencies>
<dependency><groupId>g</groupId><artifactId>needed</artifactId><version>1</version></dependency>
<dependency><groupId>g</groupId><artifactId>extra</artifactId><version>2</version><optional>true</optional></dependency>
</dependencies></project>"""


def a_jdk(folder: Path, version: str, modules: str = "java.base") -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch()
    (folder / "release").write_text(f'JAVA_VERSION="{version}"\nMODULES="{modules}"\n')
    return folder


def test_a_named_jdk_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = a_jdk(tmp_path / "a", "17.0.1"), a_jdk(tmp_path / "b", "21.0.2")
    monkeypatch.setenv(java.SETTING, f"{old}{os.pathsep}{new}")
    assert java.java_home(RELEASES["2.19.6"]) == old
    assert java.java_home(RELEASES["3.6.0"]) == new


def test_a_jdk_of_another_version_is_named_with_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = a_jdk(tmp_path / "jdk", "11.0.9")
    monkeypatch.setenv(java.SETTING, str(only))
    monkeypatch.setattr(java, "USUAL", ())
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(StackError, match=rf"needs JDK 21 or 25; found: 11 in {only}.*OPENSEARCH_JAVA_HOME"):
        java.java_home(RELEASES["3.6.0"])


def test_a_machine_without_maven_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StackError, match="no mvn on the PATH"):
        maven.maven()


def test_a_distribution_has_what_the_servers_pom_marks_optional(tmp_path: Path) -> None:
    (tmp_path / "pom.xml").write_text(POM)
    assert maven.optional_dependencies(tmp_path / "pom.xml") == [Artifact("g", "extra", "2", alone=True)]


def test_an_unknown_release_is_refused_before_anything_is_fetched() -> None:
    with pytest.raises(StackError, match=r"no recipe for OpenSearch 2\.19\.7"):
        layout.laid_out("2.19.7")


def test_a_node_needs_its_java_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_candidates", list)
    with pytest.raises(StackError, match="needs JDK 17"):
        Node("2.19.6", tmp_path / "node", 1, 2).launch()
    assert not (tmp_path / "node").exists()
