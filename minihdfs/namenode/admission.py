"""How many connections there may be, and which end when there are too many.

A client whose idle connection ends makes another with its next call, so room is made there: first those that never said who they are,
then the idle ones of whoever has most. What works on a call is never ended for a newcomer; when nothing else is left the newcomer is.
"""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Collection

from minihdfs.namenode.client_rpc import ClientConnection, Limits

RESERVED_DESCRIPTORS = 128
"""For journal, store, datanodes' connections and whatever a library opens."""


class Admission:
    def __init__(self, limits: Limits) -> None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.connections = limits.connections
        if descriptors != resource.RLIM_INFINITY:
            self.connections = min(limits.connections, max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2))
        self.per_host = max(1, self.connections * 3 // 4)
        self.opening = max(1, self.connections // 4)
        self._every: set[ClientConnection] = set()
        self._strangers: set[ClientConnection] = set()  # have not said who they are
        self._hosts: Counter[str] = Counter()

    def to_end(self, host: str) -> list[ClientConnection] | None:
        """One more comes from `host`: which connections end for it. None: the newcomer does."""
        if len(self._every) >= self.connections:
            return _least_missed(self._every, self.connections)
        if self._hosts[host] >= self.per_host:
            return _least_missed([connection for connection in self._every if connection.host == host], self.per_host)
        if len(self._strangers) >= self.opening:
            return _least_missed(self._strangers, self.opening)
        return []

    def came(self, connection: ClientConnection) -> None:
        self._every.add(connection)
        self._strangers.add(connection)
        self._hosts[connection.host] += 1

    def opened(self, connection: ClientConnection) -> None:
        self._strangers.discard(connection)

    def left(self, connection: ClientConnection) -> None:
        self._every.discard(connection)
        self._strangers.discard(connection)
        self._hosts[connection.host] -= 1
        if not self._hosts[connection.host]:
            del self._hosts[connection.host]


def _least_missed(connections: Collection[ClientConnection], limit: int) -> list[ClientConnection] | None:
    """A thirty-second part of the limit at once, so that making room is not done for every newcomer."""
    crowd = Counter(connection.peer for connection in connections)
    spare = [connection for connection in connections if connection.spare]
    spare.sort(key=lambda connection: (connection.opened, -crowd[connection.peer], connection.heard_us))
    return spare[: max(1, limit // 32)] or None
