"""What a start finds on a volume. Nothing is deleted here but copies that were under way, which
other datanodes have.

Files that make no replica go to the trash as strays, where a day passes before they are deleted. A
directory or a file that cannot be read is said in the log and left alone: an error is never a
reason to take anything away. Files of a finalized replica move meta first; a crash between the two
renames is completed, because both files were durable before the first.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from minihdfs.datanode.files.trash import STRAY
from minihdfs.datanode.files.volume import FINALIZED, RBW, TMP, Volume

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FoundReplica:
    block_id: int
    stamp: int
    length: int
    bad: str = ""  # why it is known to be bad, or could not be looked at


@dataclass(slots=True)
class _Files:
    """What one directory holds, by block."""

    lengths: dict[int, int] = field(default_factory=dict)
    stamps: dict[int, int] = field(default_factory=dict)
    marks: dict[int, int] = field(default_factory=dict)
    troubles: dict[int, str] = field(default_factory=dict)

    def note(self, block_id: int, stamp: int, kind: str, size: int = 0) -> None:
        if kind == "data":
            self.lengths[block_id] = size
        elif kind == "meta":
            self.stamps[block_id] = max(stamp, self.stamps.get(block_id, 0))
        else:
            self.marks[block_id] = stamp


def scan(volume: Volume) -> tuple[list[FoundReplica], list[FoundReplica]]:
    """(the finalized replicas, the unfinished ones) of a volume. 10⁵ replicas take about a
    second."""
    volume.trash.load(time.monotonic())
    bring_back(volume)
    _clear_copies(volume)
    _finish_renames(volume)
    finalized = [
        replica
        for outer in _directories(volume, volume.root / FINALIZED)
        for inner in _directories(volume, outer)
        for replica in _pairs(volume, inner)
    ]
    return finalized, list(_pairs(volume, volume.root / RBW))


def bring_back(
    volume: Volume, is_held: Callable[[int], bool] = lambda _id: False
) -> list[FoundReplica]:
    """Moves what a namenode did not know back to its place, to be asked about anew; not where the
    block is held again already."""
    found = _Files()
    for kept in volume.trash.unknown():
        if all(_back(volume, path, is_held, found) for path in kept.paths):
            volume.trash.forget(kept)
    return list(_replicas(volume, found))


def _back(volume: Volume, path: Path, is_held: Callable[[int], bool], found: _Files) -> bool:
    block_id, stamp, kind = parse_name(path.name)
    if block_id is None or is_held(block_id):
        return False
    there = volume.directory(FINALIZED, block_id) / path.name
    try:
        volume.make_finalized_directory(block_id)
        if there.exists():
            return False
        size = path.stat().st_size
        path.rename(there)
    except OSError as error:
        log.warning("%s stays in the trash: %s", path, error)
        return False
    found.note(block_id, stamp, kind, size)
    return True


def _clear_copies(volume: Volume) -> None:
    metas = {
        block_id for _path, block_id, kind in _named(volume, volume.root / TMP) if kind == "meta"
    }
    for path, block_id, kind in list(_named(volume, volume.root / TMP)):
        if kind == "data" and block_id not in metas:
            continue  # its meta file has been renamed already: see _finish_renames
        try:
            path.unlink()
        except OSError as error:
            log.warning("%s cannot be deleted: %s", path, error)


def _finish_renames(volume: Volume) -> None:
    """A block file whose meta file is already in its finalized directory follows it, unless another
    one is there."""
    for place in (RBW, TMP):
        files = list(_named(volume, volume.root / place))
        metas = {block_id for _path, block_id, kind in files if kind == "meta"}
        for path, block_id, kind in files:
            if kind != "data" or block_id in metas:
                continue
            there = volume.data_path(FINALIZED, block_id)
            try:
                if not there.exists() and any(there.parent.glob(f"{there.name}_*.meta")):
                    path.rename(there)
                    volume.directory_sync.sync(there.parent)
                else:
                    volume.trash.take(STRAY, (path,), time.monotonic())
            except OSError as error:
                log.warning("%s stays where it is: %s", path, error)


def _pairs(volume: Volume, directory: Path) -> Iterator[FoundReplica]:
    found = _Files()
    for entry in _entries(volume, directory):
        block_id, stamp, kind = parse_name(entry.name)
        if block_id is None:
            continue  # not ours: left where it is
        try:
            found.note(block_id, stamp, kind, entry.stat().st_size if kind == "data" else 0)
        except FileNotFoundError:
            continue
        except OSError as error:
            volume.note(entry.path, error)
            found.lengths[block_id], found.troubles[block_id] = 0, f"{entry.path}: {error.strerror}"
    yield from _replicas(volume, found)
    strays = [
        directory / f"blk_{one}"
        for one in found.lengths
        if one not in found.stamps and one not in found.troubles
    ]
    strays += [
        directory / f"blk_{one}_{stamp}.meta"
        for one, stamp in found.stamps.items()
        if one not in found.lengths
    ]
    strays += [
        directory / f"blk_{one}_{stamp}.bad"
        for one, stamp in found.marks.items()
        if one not in found.lengths
    ]
    for path in strays:
        log.warning("%s belongs to no replica: kept in the trash for a day", path)
        try:
            volume.trash.take(STRAY, (path,), time.monotonic())
        except OSError as error:
            log.warning("%s stays where it is: %s", path, error)


def _replicas(volume: Volume, found: _Files) -> Iterator[FoundReplica]:
    for block_id, length in sorted(found.lengths.items()):
        if block_id in found.stamps:
            yield FoundReplica(
                block_id, found.stamps[block_id], length, _reason(volume, found, block_id)
            )


def _reason(volume: Volume, found: _Files, block_id: int) -> str:
    """Why the replica is bad, "" when nothing says so."""
    if found.marks.get(block_id) == found.stamps[block_id]:
        try:
            return (
                volume.mark_path(block_id, found.stamps[block_id]).read_text(errors="replace")[:500]
                or "marked as bad"
            )
        except OSError:
            return "marked as bad"
    return found.troubles.get(block_id, "")


def _named(volume: Volume, directory: Path) -> Iterator[tuple[Path, int, str]]:
    for entry in _entries(volume, directory):
        block_id, _stamp, kind = parse_name(entry.name)
        if block_id is not None:
            yield Path(entry.path), block_id, kind


def _entries(volume: Volume, directory: Path) -> list[os.DirEntry[str]]:
    """Nothing for a directory that cannot be read: what it holds is neither known nor touched."""
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError as error:
        volume.note(str(directory), error)
        log.error("%s cannot be read, what it holds is not served: %s", directory, error)
        return []


def _directories(volume: Volume, path: Path) -> list[Path]:
    return sorted(
        Path(entry.path)
        for entry in _entries(volume, path)
        if entry.name.startswith("subdir") and entry.is_dir()
    )


def parse_name(name: str) -> tuple[int | None, int, str]:
    """(block id, stamp, "data", "meta" or "mark") of a file of ours, a stamp of 0 for data; (None,
    0, "") of anything else."""
    if name.startswith("blk_"):
        stem, dot, suffix = name[4:].partition(".")
        kind = {"": "data", ".meta": "meta", ".bad": "mark"}.get(dot + suffix, "")
        block_id, _, stamp = stem.partition("_")
        numbers = (block_id, stamp) if kind in ("meta", "mark") else (stem, "0")
        if kind and all(number.isdecimal() and number.isascii() for number in numbers):
            return int(numbers[0]), int(numbers[1]), kind
    return None, 0, ""
