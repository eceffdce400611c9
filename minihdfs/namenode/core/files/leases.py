"""Who writes what: a file that is open has one writer, known by client name, whose lease covers all
files it has open.

Which file is open by whom is durable (table *lease*); when a client last renewed, and which files
are being taken from their writers, is not: after a restart everybody counts as just renewed. Past
the soft limit another client may ask for a file; past the hard limit the namenode does. What
becomes of it then is decided by `lease_recovery`.
"""

from __future__ import annotations

from itertools import islice

from minihdfs.namenode.core.overlay import Overlay


class Leases:
    def __init__(self, overlay: Overlay) -> None:
        self._table = overlay.lease
        self._open: dict[str, dict[int, None]] = {}
        self._renewed_us: dict[str, int] = {}
        """In the order of the renewals: who is overdue stands in front, and nobody else is looked
        at."""
        self._recovering: dict[int, int] = {}
        """Files that are being taken from their writers → since when; whoever was tried goes to the
        end."""
        self._now_us = 0
        for inode_id, client_name in self._table.items():
            self._open.setdefault(client_name, {})[inode_id] = None

    def __len__(self) -> int:
        return sum(len(files) for files in self._open.values())

    def start(self, now_us: int) -> None:
        self._now_us = now_us
        self._renewed_us = dict.fromkeys(sorted(self._open), now_us)

    def begin(self, inode_id: int, client_name: str) -> None:
        """Durable: only `appliers` calls it."""
        self._table.put(inode_id, client_name)
        self._open.setdefault(client_name, {})[inode_id] = None
        self._renewed_us.setdefault(client_name, self._now_us)

    def end(self, inode_id: int, client_name: str) -> None:
        """Durable: only `appliers` calls it."""
        self._table.remove(inode_id)
        self._recovering.pop(inode_id, None)
        files = self._open.get(client_name, {})
        files.pop(inode_id, None)
        if not files:
            self._open.pop(client_name, None)
            self._renewed_us.pop(client_name, None)

    def renew(self, client_name: str, now_us: int) -> None:
        self._now_us = now_us
        if self._renewed_us.pop(client_name, None) is not None:
            self._renewed_us[client_name] = now_us

    def age_us(self, client_name: str, now_us: int) -> int:
        return now_us - self._renewed_us.get(client_name, now_us)

    def files(self) -> list[tuple[int, str]]:
        return sorted(
            (inode_id, client_name)
            for client_name, files in self._open.items()
            for inode_id in files
        )

    def credit(self, pause_us: int) -> None:
        """This process was paused: nobody could renew or report meanwhile."""
        for client_name in self._renewed_us:
            self._renewed_us[client_name] += pause_us
        for inode_id in self._recovering:
            self._recovering[inode_id] += pause_us

    # ── taking files over ─────────────────────────────────────────────────────────────────────────

    def take_over_since(self, inode_id: int, now_us: int) -> int:
        """Since when this file is being taken from its writer: from now on, unless it was
        before."""
        return self._recovering.setdefault(inode_id, now_us)

    def is_taken_over(self, inode_id: int) -> bool:
        return inode_id in self._recovering

    def take_over_silent(self, limit_us: int, now_us: int, files_max: int) -> None:
        """Begins with the files of those who have not renewed for `limit_us`. Whoever has many open
        is gone through in several calls."""
        while self._renewed_us and files_max > 0:
            client_name, renewed_us = next(iter(self._renewed_us.items()))
            if now_us - renewed_us < limit_us:
                return
            fresh = list(
                islice(
                    (
                        inode_id
                        for inode_id in self._open[client_name]
                        if inode_id not in self._recovering
                    ),
                    files_max,
                )
            )
            for inode_id in fresh:
                self._recovering[inode_id] = now_us
            files_max -= len(fresh) or 1
            if files_max > 0:
                self.renew(client_name, now_us)  # all of them are under way

    def next_taken_over(self, files_max: int) -> list[int]:
        """The files to be tried next; who was tried longest ago comes first."""
        found = list(islice(self._recovering, files_max))
        for inode_id in found:
            self._recovering[inode_id] = self._recovering.pop(inode_id)
        return found
