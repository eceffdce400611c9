"""What a volume keeps for a while instead of deleting it: `trash/REASON/`, the files of a replica
under their own names.

Two reasons. *unknown*: the namenode did not know the block and ordered it away; a namespace that
was restored from an old copy gives such orders for good blocks. It is kept an hour and comes back
when a namenode begins a new term, or this datanode starts: both list what they hold anew. *stray*:
files met at a start that make no replica (half of a deletion, half of a write); a day.

Ages count from when this process met them, not by the wall clock, which may jump. Kept bytes count
as free: when a write finds no room they go first, the oldest before the others. Not thread-safe:
the volume's lock guards it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clusterkit.durable_file import make_directory

log = logging.getLogger(__name__)

TRASH = "trash"
UNKNOWN, STRAY = "unknown", "stray"
KEPT_S = {UNKNOWN: 3600.0, STRAY: 86400.0}


@dataclass(frozen=True, slots=True)
class Kept:
    reason: str
    paths: tuple[Path, ...]
    size: int
    since_s: float


class Trash:
    def __init__(self, root: Path) -> None:
        self._root = root / TRASH
        self._kept: dict[
            tuple[str, str], Kept
        ] = {}  # (reason, name of the first file), oldest first
        self.size = 0

    def load(self, now_s: float) -> None:
        """Takes over what an earlier process kept."""
        for reason in KEPT_S:
            directory = self._root / reason
            if directory.is_dir():
                for path in sorted(directory.iterdir()):
                    self._note(Kept(reason, (path,), path.stat().st_size, now_s))

    def take(self, reason: str, paths: tuple[Path, ...], now_s: float) -> None:
        """Moves these files here; those that are not there are left out. Raises OSError."""
        directory = self._root / reason
        make_directory(directory)
        moved = []
        for path in paths:
            with suppress(FileNotFoundError):
                path.rename(directory / path.name)
                moved.append(directory / path.name)
        if moved:
            self._note(
                Kept(reason, tuple(moved), sum(path.stat().st_size for path in moved), now_s)
            )

    def unknown(self) -> list[Kept]:
        """What comes back when it is asked for again."""
        return [kept for kept in self._kept.values() if kept.reason == UNKNOWN]

    def forget(self, kept: Kept) -> None:
        """Its files have been moved away."""
        if self._kept.pop((kept.reason, kept.paths[0].name), None) is not None:
            self.size -= kept.size

    def sweep(self, now_s: float) -> int:
        """Deletes what has been here long enough; returns how many bytes."""
        return sum(
            self._drop(key)
            for key, kept in list(self._kept.items())
            if now_s - kept.since_s > KEPT_S[kept.reason]
        )

    def give(self, wanted_bytes: int) -> int:
        """Deletes the oldest until so many bytes are free that were not; returns how many."""
        freed = 0
        for key in sorted(self._kept, key=lambda key: self._kept[key].since_s):
            if freed >= wanted_bytes:
                break
            freed += self._drop(key)
        return freed

    def _note(self, kept: Kept) -> None:
        key = kept.reason, kept.paths[0].name
        self.size += kept.size - (self._kept.pop(key).size if key in self._kept else 0)
        self._kept[key] = kept

    def _drop(self, key: tuple[str, str]) -> int:
        kept = self._kept.pop(key)
        self.size -= kept.size
        for path in kept.paths:
            try:
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                log.warning("%s stays: %s", path, error)
        return kept.size
