"""Which connections carry the calls of which client: a client that repeats a call has given up the
connection that carried it first.

What still lies on that connection (in the kernel, or read and not yet stepped) is thrown away with
it, so a first transmission never runs after its repetition. Only older connections end: a client
may have several at once, and no two of them can end each other.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

FENCES_MAX = 10_000

Lineage = tuple[bytes, str, str]
"""(client id, user, protocol): one connection of a client carries one of these at a time."""


class Connected(Protocol):
    number: int
    lineage: Lineage | None


C = TypeVar("C", bound=Connected)


class Lineages(Generic[C]):
    def __init__(self) -> None:
        self._connections: dict[Lineage, list[C]] = {}
        # connections below this number are given up, also those whose client is not known yet
        self._fences: dict[Lineage, int] = {}

    def carries(self, connection: C, lineage: Lineage) -> bool:
        """Called with a connection's first call. False: it is given up already."""
        if connection.lineage is None:
            connection.lineage = lineage
            self._connections.setdefault(lineage, []).append(connection)
        return connection.number >= self._fences.get(lineage, 0)

    def repeats(self, connection: C) -> list[C]:
        """A call was repeated over this connection: those that it gives up."""
        lineage = connection.lineage
        assert lineage is not None
        if self._fences.get(lineage, 0) >= connection.number:
            return []
        self._fences[lineage] = connection.number
        if len(self._fences) > FENCES_MAX:
            del self._fences[next(iter(self._fences))]
        return [other for other in self._connections[lineage] if other.number < connection.number]

    def left(self, connection: C) -> None:
        if connection.lineage is None:
            return
        others = self._connections[connection.lineage]
        others.remove(connection)
        if not others:
            del self._connections[connection.lineage]
