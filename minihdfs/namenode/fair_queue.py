"""Who is served next: fair by time among parties, within one between those that ask call after call
and those with a backlog, among the users of each and the connections of a user.

Start-time fair queueing at each level. What waits longest *in its own time* goes first: a member's
tag moves on by what it cost, and one that comes anew begins at the present, which is the lowest tag
that waits. So whoever asks little is served almost at once however many others are backlogged, and
whoever asks much gets an equal part, over one connection or a thousand. Pure: costs are told, never
measured.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Path = tuple[Hashable, ...]
_DEBTS_MAX = 1024
LENT = 10_000
"""How much more than its part a member may have had when it comes anew and still is served at once;
it is counted all the same. Where a hundred are backlogged, one cheap call would else wait for a
hundred dear ones after the last."""


class FairQueue(Generic[Item]):
    """Every item waits under its path (party, backlogged, user, connection), which begins no other;
    one item is in service at a time."""

    def __init__(self) -> None:
        self._root = _Group()
        self._serving: list[tuple[_Group, Hashable, int]] = []
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, path: Path, item: Item) -> None:
        """`path` must not be waiting or in service."""
        self._waiting += 1
        group = self._root
        for key in path[:-1]:
            child = group.members.get(key)
            if child is None:
                child = _Group()
                group.enter(key, child)
            group = child
        group.enter(path[-1], item)

    def pop(self) -> Item:
        """The next one; it is in service until `done`. Raises IndexError when nobody waits."""
        member: Any = self._root
        self._serving.clear()
        while isinstance(member, _Group):
            group = member
            tag, key, member = group.first()
            self._serving.append((group, key, tag))
        self._waiting -= 1
        return member  # type: ignore[no-any-return]

    def done(self, cost: int, more: bool) -> None:
        """Ends the service. `more`: it waits again."""
        self._waiting += more
        for group, key, tag in reversed(self._serving):
            group.served(key, tag + max(1, cost), more)
            more = group.waits()
        self._serving.clear()


class _Group:
    __slots__ = ("_debts", "_heap", "_lent", "_now", "_order", "members")

    def __init__(self) -> None:
        self.members: dict[Hashable, Any] = {}
        self._heap: list[tuple[int, int, Hashable]] = []  # tag, order of coming, member
        self._now = 0  # the tag of what was served last
        self._debts: dict[
            Hashable, int
        ] = {}  # where those that do not wait now left off, if that is ahead of the others
        self._lent: dict[
            Hashable, int
        ] = {}  # of those that wait since they came: how far behind their debt
        self._order = count()

    def enter(self, key: Hashable, member: Any) -> None:
        self.members[key] = member
        due = max(self._now, self._debts.pop(key, 0))
        tag = max(self._now, due - LENT)
        if due > tag:
            self._lent[key] = due - tag
        heappush(self._heap, (tag, next(self._order), key))

    def first(self) -> tuple[int, Hashable, Any]:
        tag, _, key = heappop(self._heap)
        self._now = max(self._now, tag)
        return tag, key, self.members[key]

    def served(self, key: Hashable, tag: int, more: bool) -> None:
        tag += self._lent.pop(key, 0)
        if more:
            heappush(self._heap, (tag, next(self._order), key))
            return
        del self.members[key]
        self._debts[key] = tag
        if len(self._debts) > _DEBTS_MAX:
            self._debts = {key: tag for key, tag in self._debts.items() if tag > self._now}
            if (
                len(self._debts) > _DEBTS_MAX // 2
            ):  # of as many that come and go: they begin at the present
                self._debts.clear()

    def waits(self) -> bool:
        return bool(self._heap)
