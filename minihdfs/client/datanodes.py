"""Connections to datanodes: kept between operations, and the memory of which datanodes failed
lately.

Thread-safe and fork-safe: a child process forgets what its parent had open (the descriptors are
closed, the streams are not shut down). A connection that has been kept may have been closed by the
datanode meanwhile; `Connection.reused` says so, and whoever fails on a reused one tries once more
on a fresh one before blaming the datanode.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from minihdfs.model import DatanodeAddress

KEPT_S = 2.5
"""Hadoop's datanodes close an idle connection after 4 s, its clients after 3 s."""
MAX_KEPT = 16


@dataclass(slots=True)
class Connection:
    socket: socket.socket
    endpoint: str | tuple[str, int]
    reused: bool = False
    idle_since: float = 0.0

    def close(self) -> None:
        with suppress(OSError):
            self.socket.close()


class Datanodes:
    def __init__(self, connect_timeout_s: float = 3.0, suspect_s: float = 10.0) -> None:
        self._connect_timeout_s, self._suspect_s = connect_timeout_s, suspect_s
        self._lock = threading.Lock()
        self._kept: list[Connection] = []
        self._suspects: dict[str, tuple[DatanodeAddress, float]] = {}
        self._own_hosts: frozenset[str] | None = None
        self._pid = os.getpid()

    def connect(self, address: DatanodeAddress, *, fresh: bool = False) -> Connection:
        """To the data port. Raises OSError; a refused connection at once, a silent host after the
        timeout."""
        return self._connect((address.host, address.xfer_port), fresh)

    def connect_local(self, address: DatanodeAddress, *, fresh: bool = False) -> Connection:
        """To the socket that passes descriptors."""
        return self._connect(address.domain_socket, fresh)

    def keep(self, connection: Connection) -> None:
        """Gives back a connection whose last operation ended cleanly."""
        connection.idle_since, connection.reused = time.monotonic(), True
        with self._lock:
            self._forget_parents()
            self._kept.append(connection)
            old = self._kept.pop(0) if len(self._kept) > MAX_KEPT else None
        if old is not None:
            old.close()

    def is_local(self, address: DatanodeAddress) -> bool:
        """Does this datanode run on this machine?"""
        if address.host.startswith("127.") or address.host in ("localhost", "::1"):
            return True
        if self._own_hosts is None:
            self._own_hosts = _own_hosts()
        return address.host in self._own_hosts or address.hostname in self._own_hosts

    def suspect(self, address: DatanodeAddress) -> None:
        """This datanode just failed to answer: ask it last, and do not write to it, for a while."""
        with self._lock:
            self._suspects[address.uuid] = address, time.monotonic() + self._suspect_s

    def clear(self, address: DatanodeAddress) -> None:
        if self._suspects:
            with self._lock:
                self._suspects.pop(address.uuid, None)

    def is_suspect(self, address: DatanodeAddress) -> bool:
        return address.uuid in self._suspects and any(
            address.uuid == suspect.uuid for suspect in self.suspects()
        )

    def suspects(self) -> tuple[DatanodeAddress, ...]:
        if not self._suspects:
            return ()
        now = time.monotonic()
        with self._lock:
            self._suspects = {
                uuid: known for uuid, known in self._suspects.items() if known[1] > now
            }
            return tuple(address for address, _ in self._suspects.values())

    def close(self) -> None:
        with self._lock:
            kept, self._kept = self._kept, []
        for connection in kept:
            connection.close()

    def _connect(self, endpoint: str | tuple[str, int], fresh: bool) -> Connection:
        while not fresh:
            kept = self._take(endpoint)
            if kept is None:
                break
            if time.monotonic() - kept.idle_since < KEPT_S:
                return kept
            kept.close()
        if isinstance(endpoint, str):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(self._connect_timeout_s)
            try:
                sock.connect(endpoint)
            except OSError:
                sock.close()
                raise
        else:
            sock = socket.create_connection(endpoint, timeout=self._connect_timeout_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(sock, endpoint)

    def _take(self, endpoint: str | tuple[str, int]) -> Connection | None:
        with self._lock:
            self._forget_parents()
            for index in range(len(self._kept) - 1, -1, -1):
                if self._kept[index].endpoint == endpoint:
                    return self._kept.pop(index)
        return None

    def _forget_parents(self) -> None:
        if self._pid != os.getpid():
            for connection in self._kept:
                connection.close()
            self._kept, self._pid = [], os.getpid()


def _own_hosts() -> frozenset[str]:
    hosts = {socket.gethostname(), socket.getfqdn()}
    with suppress(OSError):
        hosts.update(str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None))
    return frozenset(hosts)
