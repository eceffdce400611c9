"""Who leads each service, with an epoch that only grows. Rows are durable; which session holds a
row is not.

A row that leads but has no holder is a leader from before a restart of the coordinator: it is
presumed alive for a grace period, in which only its own id, from the same place, can claim it.
Outside of that rule the state of a service is: vacant, held by a session, or presumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from coordinator.core.edits import LeaderElected, LeaderLeft
from coordinator.core.events import Campaign


@dataclass(frozen=True, slots=True)
class LeaderRow:
    epoch: int
    id: str
    address: str
    place: str
    leading: bool


class Leaders:
    def __init__(self) -> None:
        self.rows: dict[str, LeaderRow] = {}  # durable
        self.holders: dict[str, str] = {}  # service → session; soft

    def apply(self, op: LeaderElected | LeaderLeft) -> None:
        if isinstance(op, LeaderElected):
            self.rows[op.service] = LeaderRow(op.epoch, op.id, op.address, op.place, leading=True)
        else:
            self.rows[op.service] = replace(self.rows[op.service], leading=False)

    def verdict(self, wish: Campaign) -> LeaderElected | None:
        """The row as it must be if the campaign succeeds, else None: another leads."""
        row = self.rows.get(wish.service)
        if wish.held_epoch:
            return self._reinstated(wish, row)
        if row is None or not row.leading:
            return self._next(wish, row)
        if (row.id, row.place) != (wish.id, wish.place):
            return None
        if self.holders.get(wish.service) == wish.session and wish.at_least_epoch < row.epoch:
            return LeaderElected(
                wish.service, row.epoch, wish.id, wish.address, wish.place
            )  # its first reply was lost
        # a newer process of the same id at the same place: the data directory's lock proves the old
        # one dead
        return self._next(wish, row)

    def _reinstated(self, wish: Campaign, row: LeaderRow | None) -> LeaderElected | None:
        """A leader whose session was lost keeps its epoch unless somebody else was handed one
        since."""
        same = LeaderElected(wish.service, wish.held_epoch, wish.id, wish.address, wish.place)
        if row is None or (
            row.id == wish.id and row.place == wish.place and row.epoch == wish.held_epoch
        ):
            return (
                same
                if wish.service not in self.holders or self.holders[wish.service] == wish.session
                else None
            )
        return same if not row.leading and row.epoch < wish.held_epoch else None

    @staticmethod
    def _next(wish: Campaign, row: LeaderRow | None) -> LeaderElected:
        return LeaderElected(
            wish.service,
            max(row.epoch if row else 0, wish.at_least_epoch) + 1,
            wish.id,
            wish.address,
            wish.place,
        )

    def held_by(self, session: str) -> tuple[tuple[str, int], ...]:
        return tuple(
            sorted(
                (service, self.rows[service].epoch)
                for service, holder in self.holders.items()
                if holder == session
            )
        )

    def presumed(self) -> list[str]:
        return sorted(
            service
            for service, row in self.rows.items()
            if row.leading and service not in self.holders
        )
