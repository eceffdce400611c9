"""A whole small file system in this process: one namenode and a few datanodes on free loopback
ports, for tests that speak to its wires."""

from __future__ import annotations

import contextlib
import getpass
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from clusterkit.errors import ClusterError
from coordinator.backends.memory import MemoryCoordinator, MemoryHub
from minihdfs.client.namenode_calls import NamenodeClient
from minihdfs.datanode.service import DatanodeService, DatanodeServiceOptions
from minihdfs.model import ServerDefaults
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.service import NamenodeService, NamenodeServiceOptions

T = TypeVar("T")
USER = getpass.getuser()
READY_S = 20.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {READY_S:g} s: {what}"
        threading.Event().wait(0.02)


class SmallFileSystem:
    def __init__(
        self,
        directory: Path,
        datanodes: int = 3,
        defaults: ServerDefaults | None = None,
        **core: object,
    ) -> None:
        """`core` are the namenode core's Options."""
        self._directory = directory
        self.coordinator = MemoryCoordinator(MemoryHub())
        options = Options(
            cluster_id="", superuser=USER, defaults=defaults or ServerDefaults(), **core
        )  # type: ignore[arg-type]
        self._namenode_options = NamenodeServiceOptions(
            node_id="nn1", data_dir=directory / "namenode", core=options
        )
        self.namenode = NamenodeService(self._namenode_options, self.coordinator)
        self.namenode.start()
        self.datanodes: dict[str, DatanodeService] = {}
        for number in range(1, datanodes + 1):
            self.start_datanode(f"dn{number}")
        self.client = NamenodeClient(self.namenode.address, USER)
        self.await_live(datanodes)

    @property
    def uri(self) -> str:
        return self.namenode.fs_uri

    def start_datanode(self, node_id: str) -> DatanodeService:
        options = DatanodeServiceOptions(
            node_id=node_id, data_dir=self._directory / node_id, reserve_bytes=0
        )
        datanode = DatanodeService(options, lambda: self.namenode.datanode_address)
        datanode.start()
        self.datanodes[node_id] = datanode
        return datanode

    def stop_datanode(self, node_id: str) -> None:
        datanode = self.datanodes.pop(node_id)
        datanode.stop()
        datanode.wait()

    def restart_namenode(self) -> None:
        self.namenode.stop()
        self.namenode.wait()
        self.namenode = NamenodeService(self._namenode_options, self.coordinator)
        self.namenode.start()
        self.await_live(len(self.datanodes))  # until they report, no block is anywhere

    @contextlib.contextmanager
    def restarted_under(self, call: Callable[[], T]) -> Iterator[Future[T]]:
        """The namenode starts anew, `call` asks it, and only while that waits do the datanodes come
        and report."""
        node_ids = list(self.datanodes)
        for node_id in node_ids:
            self.stop_datanode(node_id)
        self.namenode.stop()
        self.namenode.wait()
        self.namenode = NamenodeService(self._namenode_options, self.coordinator)
        self.namenode.start()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(call)
            wait_until(
                lambda: asked.done() or bool(self.namenode.connected()), "the client has come"
            )
            with contextlib.suppress(
                TimeoutError
            ):  # long enough for it to ask, much less than it is let wait
                asked.exception(1.0)
            for node_id in node_ids:
                self.start_datanode(node_id)
            yield asked
        self.await_live(len(node_ids))

    def await_live(self, count: int) -> None:
        def live() -> bool:
            status = self.client.get_status()
            return (
                sum(row.state == "live" for row in status.datanodes) >= count
                and not status.stats.safe_mode
            )

        wait_until(live, f"{count} datanodes live and safe mode over")

    def await_silent(self, node_id: str) -> None:
        """The namenode noticed that it is gone: nothing new is placed there."""

        def silent() -> bool:
            return all(
                row.state != "live"
                for row in self.client.get_datanode_report()
                if row.address.uuid == node_id
            )

        wait_until(silent, f"{node_id} taken for stale or dead")

    def await_replicas(self, path: str, count: int) -> None:
        """Every block of the file has so many replicas."""

        def enough() -> bool:
            return {
                len(block.locations)
                for block in self.client.get_block_locations(path, 0, 1 << 62).blocks
            } == {count}

        wait_until(enough, f"{count} replicas of every block of {path}")

    def stop(self) -> None:
        self.client.close()
        for node_id in list(self.datanodes):
            self.stop_datanode(node_id)
        self.namenode.stop()
        with contextlib.suppress(ClusterError):
            self.namenode.wait()


@contextlib.contextmanager
def small_file_system(
    directory: Path, datanodes: int = 3, **named: object
) -> Iterator[SmallFileSystem]:
    system = SmallFileSystem(directory, datanodes, **named)  # type: ignore[arg-type]
    try:
        yield system
    finally:
        system.stop()
