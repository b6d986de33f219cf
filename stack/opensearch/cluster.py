"""Several nodes of one cluster on loopback: started at once, killed and brought back.

Bound to 127.0.0.1, so that OpenSearch's bootstrap checks, which this machine need not pass, stay off
(https://docs.opensearch.org/latest/install-and-configure/install-opensearch/index/#important-host-settings).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import httpx

from stack.home import Home
from stack.opensearch.account import Account
from stack.opensearch.node import Node

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class OpenSearchCluster:
    """Use as a context manager; inside, all ``count`` nodes have joined. They end with the process that started them.

    ``home`` keeps each node's data and ports, so a node that is started again is the same one. All nodes may be elected
    and hold data; a cluster that has lost half of them or more takes nothing any more.
    """

    def __init__(self, version: str, home: Path, count: int) -> None:
        self.version = version
        self.home = home
        self.nodes: list[Node] = []
        self._count = count
        self._account = Account()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """All are asked before one is waited for."""
        parts = [node.part for node in self.nodes if node.part is not None]
        for part in parts:
            part.ask_to_stop()
        for part in parts:
            part.stop()
        self._account.remove()

    def kill(self, index: int) -> None:
        """SIGKILL, as when its machine goes; returns when the process is gone. The others notice by themselves."""
        part = self.nodes[index].part
        assert part is not None
        part.kill()

    def restore(self) -> None:
        """Start what was killed and wait until it has joined again; at first that is all."""
        gone = [index for index, node in enumerate(self.nodes) if node.part is None or not node.part.running]
        for index in gone:
            self.nodes[index].launch()
        for index in gone:
            self.wait_until_joined(index)

    def joined(self, index: int) -> int:
        """How many nodes there are in the cluster that this node belongs to; 0 where it does not answer for one."""
        with self.nodes[index].client() as client:
            try:
                answer = client.get(
                    "/_cluster/health", params={"wait_for_status": "yellow", "timeout": "1s"}, timeout=5
                )
            except httpx.TransportError:
                return 0
        return int(answer.json()["number_of_nodes"]) if answer.is_success else 0

    def wait_until_joined(self, index: int) -> None:
        """All running nodes, in the eyes of this one; raise StackError, with the end of its log, if it is stuck."""
        part = self.nodes[index].part
        assert part is not None
        part.wait_until(lambda: self.joined(index) == self._running(), "is not in the cluster of the others")

    def _running(self) -> int:
        return sum(node.part is not None and node.part.running for node in self.nodes)

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        ports = Home(self.home)
        names = [f"node-{index}" for index in range(self._count)]
        transport = {name: ports.port(f"{name} transport") for name in names}
        settings: dict[str, Any] = {
            "discovery.seed_hosts": [f"127.0.0.1:{port}" for port in transport.values()],
            "cluster.initial_cluster_manager_nodes": names,
            # Mapped files need a vm.max_map_count that not every machine has.
            "node.store.allow_mmap": False,
        }
        self._account.make()
        for name in names:
            http_port = ports.port(f"{name} http")
            at: dict[str, Any] = {"http_port": http_port, "transport_port": transport[name], "name": name}
            self.nodes.append(Node(self.version, self.home / name, settings=settings, account=self._account, **at))
        self.restore()
