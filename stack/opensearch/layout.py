"""A release as a folder that starts: lib/, agent/, modules/, plugins/, config/. Made once, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import platformdirs

from stack.opensearch import maven, releases
from stack.opensearch.maven import Artifact
from stack.opensearch.releases import RELEASES, Module, Release
from stack.processes import StackError

CACHE_SETTING = "OPENSEARCH_BATCH_CACHE"
# Plugins bring copies of their own, and the same class twice is "jar hell".
NOT_IN_LIB = re.compile(r"(error_prone_annotations|jspecify)-")
# 300 MB that only models inside the cluster need.
ONNX = "onnxruntime_gpu-*.jar"
PLUGIN_CLASS = re.compile(r"org/opensearch/[\w/]*\w(?<!Base)Plugin\.class")
LOG4J = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] [%node_name]%marker %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


def cache() -> Path:
    """Outside the checkout; for root a place that other users may enter, because OpenSearch refuses to run as root."""
    if given := os.environ.get(CACHE_SETTING):
        return Path(given).resolve()
    if os.geteuid() == 0:
        return Path("/var/cache/opensearch-batch")
    return platformdirs.user_cache_path("opensearch-batch")


def release(version: str) -> Release:
    if version not in RELEASES:
        raise StackError(f"there is no recipe for OpenSearch {version}: {', '.join(RELEASES)}")
    return RELEASES[version]


def home_of(version: str) -> Path:
    """Where the release is or will be."""
    return cache() / f"{version}-{_recipe()}"


def laid_out(version: str) -> Path:
    """The release's folder; where it is not there yet it is fetched first: some 400 MB over the network."""
    wanted, home = release(version), home_of(version)
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        # Under another name until it is whole; the one who is second throws his away.
        with tempfile.TemporaryDirectory(prefix=f"{version}-", dir=home.parent) as folder:
            part = Path(folder) / "home"
            _lay_out(wanted, part, Path(folder))
            try:
                part.rename(home)
            except OSError:
                if not home.exists():
                    raise
    return home


def _recipe() -> str:
    """What was laid out by another recipe is not this release."""
    sources = (Path(__file__), Path(releases.__file__), Path(maven.__file__))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]


def _lay_out(wanted: Release, home: Path, scratch: Path) -> None:
    fetched = scratch / "fetched"
    _fetch(wanted, fetched, scratch)
    lib = _copy_jars(fetched / "lib", home / "lib", without=set())
    if wanted.agent:
        _copy_jars(fetched / "agent", home / "agent", without=set())
    for module in wanted.modules:
        parent = {jar.name for jar in (fetched / module.extends).iterdir()} if module.extends else set()
        folder = home / "modules" / module.name
        _copy_jars(fetched / module.name, folder, without=lib | parent)
        _describe(module, folder, wanted)
    for archive in (fetched / "plugins").glob("*.zip"):
        _unpack(archive, home / "plugins", lib)
    # 2.x makes these two at its start, which an unprivileged user may not.
    for name in ("bin", "extensions", "config"):
        (home / name).mkdir()
    (home / "config" / "log4j2.properties").write_text(LOG4J)
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _fetch(wanted: Release, fetched: Path, scratch: Path) -> None:
    version = wanted.version

    def server(name: str, *, kind: str = "jar", alone: bool = False) -> Artifact:
        return Artifact("org.opensearch", name, version, kind, alone)

    def plugin(name: str, *, kind: str = "jar", alone: bool = False) -> Artifact:
        artifact_version = f"{version}.0" if kind == "zip" else version
        return Artifact("org.opensearch.plugin", name, artifact_version, kind, alone)

    (scratch / "poms").mkdir()
    maven.copy({fetched / "pom": [server("opensearch", kind="pom", alone=True)]}, scratch / "poms")
    optional = maven.optional_dependencies(fetched / "pom" / f"opensearch-{version}.pom")
    more = [Artifact(group, name, number, alone=True) for group, name, number in wanted.libraries]
    folders = {
        fetched / "lib": [server("opensearch"), server("opensearch-plugin-classloader", alone=True), *optional, *more],
        fetched / "plugins": [plugin(name, kind="zip", alone=True) for name in wanted.plugins],
    }
    if wanted.agent:
        folders[fetched / "agent"] = [server("opensearch-agent"), server("opensearch-agent-bootstrap")]
    for module in wanted.modules:
        folders[fetched / module.name] = [plugin(module.artifact)]
    (scratch / "parts").mkdir()
    maven.copy(folders, scratch / "parts")


def _copy_jars(source: Path, target: Path, without: set[str]) -> set[str]:
    """The names that went there."""
    target.mkdir(parents=True)
    names = {jar.name for jar in source.iterdir() if not NOT_IN_LIB.match(jar.name)} - without
    for name in names:
        shutil.copyfile(source / name, target / name)
    return names


def _describe(module: Module, folder: Path, wanted: Release) -> None:
    classes = [
        name.removesuffix(".class").replace("/", ".")
        for jar in folder.glob("*.jar")
        for name in zipfile.ZipFile(jar).namelist()
        if PLUGIN_CLASS.fullmatch(name)
    ]
    if len(classes) != 1:
        raise StackError(
            f"module {module.name} of OpenSearch {wanted.version}: its plugin class is not clear: {classes}"
        )
    described = {
        "name": module.name,
        "description": module.name,
        "version": wanted.version,
        "opensearch.version": wanted.version,
        "java.version": str(min(wanted.java)),
        "classname": classes[0],
        "extended.plugins": module.extends,
        "has.native.controller": "false",
    }
    lines = "".join(f"{key}={value}\n" for key, value in described.items())
    (folder / "plugin-descriptor.properties").write_text(lines)
    if module.grants:
        grants = "".join(f"  permission {grant};\n" for grant in module.grants)
        (folder / "plugin-security.policy").write_text(f"grant {{\n{grants}}};\n")


def _unpack(archive: Path, plugins: Path, lib: set[str]) -> None:
    with zipfile.ZipFile(archive) as zipped:
        descriptor = zipped.read("plugin-descriptor.properties").decode()
        name = re.search(r"(?m)^name=(.*?)\s*$", descriptor)
        if name is None:
            raise StackError(f"{archive.name} has a plugin descriptor without a name")
        folder = plugins / name[1]
        zipped.extractall(folder)
    for jar in folder.glob("*.jar"):
        if jar.name in lib or jar.match(ONNX):
            jar.unlink()
