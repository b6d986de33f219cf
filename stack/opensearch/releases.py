"""Which releases can be had from Maven Central, and what each is put together from.

Exact versions only: https://repo1.maven.org/maven2/org/opensearch/plugin/ has the plugins' zips for few releases, and
its maven-metadata.xml names only some of them. 2.19.6 is the newest 2.19 with an ML Commons zip, 2.19.1 the only
release of 2.19 that also has one of the Security plugin.
"""

from __future__ import annotations

from dataclasses import dataclass

ML_COMMONS = ("opensearch-job-scheduler", "opensearch-ml-plugin")


@dataclass(frozen=True)
class Module:
    """A module of the server: the artifact that holds it, the module it extends, what it may do under the security
    manager (2.x) or the agent (3.x).

    The artifacts carry neither descriptor nor policy; both are in the server's sources under `modules/<name>`.
    """

    name: str
    artifact: str
    extends: str = ""
    grants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """`java` are the major versions it starts on, the preferred first; `plugins` are artifacts of
    `org.opensearch.plugin`; `libraries` (group, name, version) are
    what the server's own pom lacks.
    """

    version: str
    java: tuple[int, ...]
    plugins: tuple[str, ...]
    modules: tuple[Module, ...]
    libraries: tuple[tuple[str, str, str], ...] = ()
    agent: bool = False

    @property
    def is_secured(self) -> bool:
        return "opensearch-security" in self.plugins


_NETWORK = (
    'java.io.FilePermission "/proc/sys/net/core/somaxconn", "read"',
    'java.net.SocketPermission "*", "accept,connect"',
    'java.lang.RuntimePermission "setContextClassLoader"',
    'java.lang.RuntimePermission "getClassLoader"',
    'java.util.PropertyPermission "*", "read,write"',
)
_CLASS_LOADERS = ('java.lang.RuntimePermission "createClassLoader"', 'java.lang.RuntimePermission "getClassLoader"')

_MODULES = (
    Module("transport-netty4", "transport-netty4-client", grants=_NETWORK),
    Module("lang-painless", "lang-painless", grants=_CLASS_LOADERS),
    Module("analysis-common", "analysis-common", extends="lang-painless"),
    Module("mapper-extras", "mapper-extras-client"),
    Module("reindex", "reindex-client", grants=('java.net.SocketPermission "*", "connect"',)),
    Module("ingest-common", "ingest-common", extends="lang-painless"),
)
# k-NN 3.x extends it.
_GRPC = Module("transport-grpc", "transport-grpc", grants=_NETWORK)

RELEASES = {
    release.version: release
    for release in (
        Release("2.19.6", java=(17,), plugins=(*ML_COMMONS, "opensearch-knn"), modules=_MODULES),
        Release(
            "3.6.0",
            java=(21, 25),
            plugins=(*ML_COMMONS, "opensearch-knn"),
            modules=(*_MODULES, _GRPC),
            # Without it the first connector ends the node: NoClassDefFoundError in ML Commons' EncryptorImpl.
            libraries=(("org.bouncycastle", "bc-fips", "2.1.2"),),
            agent=True,
        ),
        Release("2.19.1", java=(17,), plugins=(*ML_COMMONS, "opensearch-security"), modules=_MODULES),
    )
}
