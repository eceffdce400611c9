"""How many connections there may be, and which end when there are too many.

A client whose idle connection ends makes another with its next call, so room is made there: first
those that never said who they are, then the idle ones of whoever has most. What works on a call is
never ended for a newcomer; when nothing else is left the newcomer is. So that this is not everybody
else, one party (`parties`) may have three quarters of all, one user of a party half of all.
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


Crowd = str | tuple[str, str | None]
_ALL, _STRANGERS = "*", "?"  # in place of a party


class Admission:
    def __init__(self, limits: Limits) -> None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.connections = limits.connections
        if descriptors != resource.RLIM_INFINITY:
            self.connections = min(
                limits.connections, max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2)
            )
        self.per_party = max(1, self.connections * 3 // 4)
        self.per_user = max(1, self.connections // 2)  # one name of one party
        self.opening = max(1, self.connections // 4)
        self._every: set[ClientConnection] = set()
        self._strangers: set[ClientConnection] = set()  # have not said who they are
        self._parties: Counter[str] = Counter()
        self._users: dict[tuple[str, str | None], set[ClientConnection]] = {}
        self.refused = self.made_room = 0  # since it was told
        self._in_vain: dict[Crowd, int] = {}  # crowd → when nobody was found in it

    def to_end(
        self, party: str, now_us: int, user: str | None = None
    ) -> list[ClientConnection] | None:
        """One more comes from `party`, or says now that it is `user`: which connections end for it.
        None: the newcomer does."""
        crowd = self._crowd(party, user)
        if crowd is None:
            return []
        found = None
        if now_us - self._in_vain.get(crowd, -IN_VAIN_US) >= IN_VAIN_US:
            found = self._spare(crowd)
            if found is None:
                self._in_vain[crowd] = now_us
        self.refused += found is None
        return found

    def _spare(self, crowd: Crowd) -> list[ClientConnection] | None:
        if crowd == _STRANGERS:
            return _least_missed(self._strangers, self.opening)
        if crowd == _ALL:
            return _least_missed(self._every, self.connections)
        if isinstance(crowd, tuple):
            return _least_missed(self._users[crowd], self.per_user)
        return _least_missed(
            [connection for connection in self._every if connection.party == crowd], self.per_party
        )

    def in_vain(self, party: str, now_us: int, user: str | None = None) -> None:
        """Those that `to_end` named for one more do work after all."""
        self.refused += 1
        self._in_vain[self._crowd(party, user) or _ALL] = now_us

    def tell(self) -> None:
        """Once a second, whatever comes."""
        if self.refused or self.made_room:
            said = (
                "%d connections were refused and %d idle ones ended: there are %d, and at most %d"
            )
            LOG.warning(said, self.refused, self.made_room, len(self._every), self.connections)
            self.refused = self.made_room = 0
            self._in_vain.clear()

    def _crowd(self, party: str, user: str | None) -> Crowd | None:
        """Of which there are too many for one more of `party`: of all, of that party's, of those
        that have not said who they are; or of the party's `user`, which one more turns out to
        be."""
        if user is not None:
            of_user = (party, user)
            return of_user if len(self._users.get(of_user, ())) >= self.per_user else None
        if len(self._every) >= self.connections:
            return _ALL
        if self._parties[party] >= self.per_party:
            return party
        return _STRANGERS if len(self._strangers) >= self.opening else None

    def came(self, connection: ClientConnection) -> None:
        self._every.add(connection)
        self._strangers.add(connection)
        self._parties[connection.party] += 1

    def is_stranger(self, connection: ClientConnection) -> bool:
        return connection in self._strangers

    def opened(self, connection: ClientConnection) -> None:
        self._strangers.discard(connection)
        self._users.setdefault(connection.peer, set()).add(connection)

    def left(self, connection: ClientConnection) -> None:
        self._every.discard(connection)
        self._strangers.discard(connection)
        of_user = self._users.get(connection.peer, set())
        of_user.discard(connection)
        if not of_user:
            self._users.pop(connection.peer, None)
        self._parties[connection.party] -= 1
        if not self._parties[connection.party]:
            del self._parties[connection.party]


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
