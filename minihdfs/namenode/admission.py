"""How many connections there may be, and which end when there are too many.

A client whose idle connection ends makes another with its next call, so room is made there: first
those that never said who they are, then the idle ones of whoever has most. What works on a call is
never ended for a newcomer; when nothing else is left the newcomer is.
"""

from __future__ import annotations

import logging
import resource
from collections import Counter
from collections.abc import Collection

from minihdfs.namenode.hadoop_connection import ClientConnection, Limits

LOG = logging.getLogger(__name__)
RESERVED_DESCRIPTORS = 128
"""For journal, store, datanodes' connections and whatever a library opens."""
IN_VAIN_US = 50_000
"""Where nobody could end for a newcomer, nobody is looked for again so long: each look is at
thousands of connections."""


_ALL, _STRANGERS = "*", "?"  # in place of a host


class Admission:
    def __init__(self, limits: Limits) -> None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.connections = limits.connections
        if descriptors != resource.RLIM_INFINITY:
            self.connections = min(
                limits.connections, max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2)
            )
        self.per_host = max(1, self.connections * 3 // 4)
        self.opening = max(1, self.connections // 4)
        self._every: set[ClientConnection] = set()
        self._strangers: set[ClientConnection] = set()  # have not said who they are
        self._hosts: Counter[str] = Counter()
        self.refused = self.made_room = 0  # since it was told
        self._in_vain: dict[str, int] = {}  # crowd → when nobody was found in it

    def to_end(self, host: str, now_us: int) -> list[ClientConnection] | None:
        """One more comes from `host`: which connections end for it. None: the newcomer does."""
        crowd = self._crowd(host)
        if crowd is None:
            return []
        found = None
        if now_us - self._in_vain.get(crowd, -IN_VAIN_US) >= IN_VAIN_US:
            found = self._spare(crowd)
            if found is None:
                self._in_vain[crowd] = now_us
        self.refused += found is None
        return found

    def _spare(self, crowd: str) -> list[ClientConnection] | None:
        if crowd == _STRANGERS:
            return _least_missed(self._strangers, self.opening)
        if crowd == _ALL:
            return _least_missed(self._every, self.connections)
        return _least_missed(
            [connection for connection in self._every if connection.host == crowd], self.per_host
        )

    def in_vain(self, host: str, now_us: int) -> None:
        """Those that `to_end` named for one more of `host` do work after all."""
        self.refused += 1
        self._in_vain[self._crowd(host) or _ALL] = now_us

    def tell(self) -> None:
        """Once a second, whatever comes."""
        if self.refused or self.made_room:
            said = (
                "%d connections were refused and %d idle ones ended: there are %d, and at most %d"
            )
            LOG.warning(said, self.refused, self.made_room, len(self._every), self.connections)
            self.refused = self.made_room = 0
            self._in_vain.clear()

    def _crowd(self, host: str) -> str | None:
        """Of which there are too many for one more of `host`: of all, of that host's, of those that
        have not said who they are."""
        if len(self._every) >= self.connections:
            return _ALL
        if self._hosts[host] >= self.per_host:
            return host
        return _STRANGERS if len(self._strangers) >= self.opening else None

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


def _least_missed(
    connections: Collection[ClientConnection], limit: int
) -> list[ClientConnection] | None:
    """A thirty-second part of the limit at once, so that making room is not done for every
    newcomer."""
    crowd = Counter(connection.peer for connection in connections)
    spare = [connection for connection in connections if connection.spare]
    spare.sort(
        key=lambda connection: (connection.opened, -crowd[connection.peer], connection.heard_us)
    )
    return spare[: max(1, limit // 32)] or None
