"""Who writes what: a file that is open has one writer, known by client name, whose lease covers all files it has open.

Which file is open by whom is durable (table *lease*); when a client last renewed is not: after a restart everybody counts as just
renewed. Past the soft limit another client may take a file over; past the hard limit the namenode closes it. Both are decided by
`writing`.
"""

from __future__ import annotations

from minihdfs.namenode.core.overlay import Overlay


class Leases:
    def __init__(self, overlay: Overlay) -> None:
        self._table = overlay.lease
        self._open: dict[str, dict[int, None]] = {}
        self._renewed_us: dict[str, int] = {}
        for inode_id, client_name in self._table.items():
            self._open.setdefault(client_name, {})[inode_id] = None

    def __len__(self) -> int:
        return sum(len(files) for files in self._open.values())

    def begin(self, inode_id: int, client_name: str) -> None:
        """Durable: only `appliers` calls it."""
        self._table.put(inode_id, client_name)
        self._open.setdefault(client_name, {})[inode_id] = None

    def end(self, inode_id: int, client_name: str) -> None:
        """Durable: only `appliers` calls it."""
        self._table.remove(inode_id)
        files = self._open.get(client_name, {})
        files.pop(inode_id, None)
        if not files:
            self._open.pop(client_name, None)
            self._renewed_us.pop(client_name, None)

    def renew(self, client_name: str, now_us: int) -> None:
        if client_name in self._open:
            self._renewed_us[client_name] = now_us

    def age_us(self, client_name: str, now_us: int) -> int:
        return now_us - self._renewed_us.setdefault(client_name, now_us)

    def older_than(self, limit_us: int, now_us: int) -> list[tuple[str, list[int]]]:
        """(client name, its open files) of every lease not renewed for `limit_us`, in the order of the names."""
        return [
            (client_name, list(self._open[client_name]))
            for client_name in sorted(self._open)
            if self.age_us(client_name, now_us) >= limit_us
        ]

    def files(self) -> list[tuple[int, str]]:
        return sorted((inode_id, client_name) for client_name, files in self._open.items() for inode_id in files)

    def credit(self, pause_us: int) -> None:
        """This process was paused: nobody could renew meanwhile."""
        for client_name in self._renewed_us:
            self._renewed_us[client_name] += pause_us
