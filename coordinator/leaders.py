"""Who leads now: from the announcements of this home, or from the coordinator of a cluster of
several machines.

Daemons are given these as callables and ask again whenever a connection fails, so a leader that
moved or restarted is found.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import Protocol

from clusterkit.errors import Unavailable
from clusterkit.service import Announcement
from coordinator.api import Coordinator
from coordinator.home import Home


class Leaders(Protocol):
    def namenode(self) -> str:
        """host:port of the leading namenode's Hadoop RPC; behind commas those who may lead next.
        Raises Unavailable."""
        ...

    def namenode_for_datanodes(self) -> str: ...

    def tracker(self) -> str: ...


class HomeLeaders:
    def __init__(self, home: Home) -> None:
        self._home = home

    def namenode(self) -> str:
        return self._living("namenode").address

    def namenode_for_datanodes(self) -> str:
        announcement = self._living("namenode")
        return f"{announcement.address.rpartition(':')[0]}:{announcement.ports['datanode']}"

    def tracker(self) -> str:
        return self._living("tracker").address

    def _living(self, role: str) -> Announcement:
        living = self._home.living(role)
        if not living:
            raise Unavailable(f"no {role} is running in {self._home.path}", next_command="mrc up")
        return living[0]


class CoordinatorLeaders:
    """Of a coordinator that is connected when first needed: datanodes and workers ask it only for
    this."""

    def __init__(self, connect: Callable[[], Coordinator], where: str) -> None:
        """`where` is for people."""
        self._connect, self._where = connect, where
        self._coordinator: Coordinator | None = None
        self._lock = threading.Lock()

    @property
    def coordinator(self) -> Coordinator:
        with self._lock:
            if self._coordinator is None:
                self._coordinator = self._connect()
                atexit.register(
                    self._coordinator.close
                )  # else its session lingers until the coordinator's timeout
            return self._coordinator

    def namenode(self) -> str:
        leader = self._address("namenode", 0)
        others = [member.address for member in self.coordinator.membership.members("namenode")]
        return ",".join(dict.fromkeys([leader, *others]))

    def namenode_for_datanodes(self) -> str:
        return self._address("namenode", 1)

    def tracker(self) -> str:
        return self._address("tracker", 0)

    def _address(self, service: str, index: int) -> str:
        leader = self.coordinator.election.leader(service)
        if leader is None:
            raise Unavailable(f"no {service} leads in {self._where}", next_command="mrc status")
        return leader.address.split(",")[index]
