"""One data directory of a datanode: where its files are, what a restart finds there, how much room is left.

    volume.json                               magic, format version, cluster id, node id
    rbw/blk_ID + blk_ID_STAMP.meta            being written by a client (or left behind by one)
    tmp/blk_ID + blk_ID_STAMP.meta            a copy from another datanode under way: deleted at start
    finalized/subdirX/subdirY/blk_ID + .meta  complete; X and Y are bits 16–20 and 8–12 of the block id, as in Hadoop

A block file is exactly the block's bytes. Files of a finalized replica move meta first; a crash between the two renames is completed at
start, because both files were durable before the first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clusterkit.durable_file import fsync_directory, make_directory, write_durably
from clusterkit.errors import ClusterError, CorruptRecord
from minihdfs.datanode.directory_sync import DirectorySync
from minihdfs.errors import WrongCluster

VOLUME_MAGIC = "mrcluster block volume"
VOLUME_VERSION = 1
RBW, TMP, FINALIZED = "rbw", "tmp", "finalized"


class VolumeIdentity(msgspec.Struct, frozen=True):
    magic: str = VOLUME_MAGIC
    version: int = VOLUME_VERSION
    cluster_id: str = ""
    node_id: str = ""


@dataclass(frozen=True, slots=True)
class FoundReplica:
    block_id: int
    stamp: int
    length: int


class Volume:
    def __init__(self, root: Path, reserve_bytes: int) -> None:
        self.root, self.reserve_bytes = root, reserve_bytes
        self.directory_sync = DirectorySync()
        self.strays: list[str] = []  # files met by the scan that belong to no replica; left where they are
        self._made: dict[tuple[int, int], Path] = {}

    @classmethod
    def open(cls, root: Path, node_id: str, cluster_id: str, reserve_bytes: int) -> Volume:
        """Raises WrongCluster for a directory of another cluster or node, ClusterError for what is no volume at all."""
        make_directory(root)
        file = root / "volume.json"
        if not file.exists():
            strangers = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
            if strangers:
                raise ClusterError(f"{root} holds {strangers[0]} but no volume.json: not a block directory of this software")
            write_durably(file, msgspec.json.encode(VolumeIdentity(cluster_id=cluster_id, node_id=node_id)))
        try:
            identity = msgspec.json.decode(file.read_bytes(), type=VolumeIdentity)
        except msgspec.DecodeError as error:
            raise CorruptRecord(f"{file} does not decode: {error}", next_command=f"cat {file}") from error
        if identity.magic != VOLUME_MAGIC or identity.version > VOLUME_VERSION:
            raise ClusterError(f"{file} has format {identity.magic!r} {identity.version}; this version reads {VOLUME_VERSION}")
        if identity.node_id != node_id:
            raise WrongCluster(f"{root} belongs to datanode {identity.node_id}, not to {node_id}", next_command=f"cat {file}")
        volume = cls(root, reserve_bytes)
        if identity.cluster_id != cluster_id:
            if identity.cluster_id:
                raise WrongCluster(f"{root} belongs to cluster {identity.cluster_id}, not to {cluster_id}", next_command=f"cat {file}")
            volume.adopt(node_id, cluster_id)
        for name in (RBW, TMP, FINALIZED):
            (root / name).mkdir(exist_ok=True)
        fsync_directory(root)
        return volume

    def adopt(self, node_id: str, cluster_id: str) -> None:
        """Makes a fresh volume that of a cluster."""
        write_durably(self.root / "volume.json", msgspec.json.encode(VolumeIdentity(cluster_id=cluster_id, node_id=node_id)))

    # ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def finalized_directory(self, block_id: int) -> Path:
        """Made durably when it is not there yet."""
        key = (block_id >> 16 & 31, block_id >> 8 & 31)
        inner = self._made.get(key)
        if inner is None:
            outer = self.root / FINALIZED / f"subdir{key[0]}"
            inner = outer / f"subdir{key[1]}"
            for path in (outer, inner):
                if not path.is_dir():
                    path.mkdir(mode=0o700, exist_ok=True)
                    self.directory_sync.sync(path.parent)
            self._made[key] = inner
        return inner

    def data_path(self, place: str, block_id: int) -> Path:
        return self._directory(place, block_id) / f"blk_{block_id}"

    def meta_path(self, place: str, block_id: int, stamp: int) -> Path:
        return self._directory(place, block_id) / f"blk_{block_id}_{stamp}.meta"

    def _directory(self, place: str, block_id: int) -> Path:
        return self.finalized_directory(block_id) if place == FINALIZED else self.root / place

    # ── room ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def room(self) -> tuple[int, int]:
        """(capacity, remaining) in bytes, both without the reserve."""
        facts = os.statvfs(self.root)
        capacity, free = facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize
        return max(0, capacity - self.reserve_bytes), max(0, free - self.reserve_bytes)

    # ── what a restart finds ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def clear_tmp(self) -> None:
        for entry in os.scandir(self.root / TMP):
            Path(entry.path).unlink()

    def scan_finalized(self) -> Iterator[FoundReplica]:
        """Every complete pair of files. Needs `finish_renames` first. 10⁵ replicas take about a second."""
        top = f"{self.root}/{FINALIZED}"
        for outer in _directories(top):
            for inner in _directories(outer):
                yield from self._pairs(inner)

    def scan_rbw(self) -> Iterator[FoundReplica]:
        yield from self._pairs(f"{self.root}/{RBW}")

    def _pairs(self, directory: str) -> Iterator[FoundReplica]:
        lengths: dict[int, int] = {}
        stamps: dict[int, int] = {}
        with os.scandir(directory) as entries:
            for entry in entries:
                block_id, stamp = parse_name(entry.name)
                if block_id is None:
                    self.strays.append(entry.path)
                elif stamp is None:
                    lengths[block_id] = entry.stat().st_size
                else:
                    stamps[block_id] = max(stamp, stamps.get(block_id, 0))
        for block_id, length in sorted(lengths.items()):
            if block_id in stamps:
                yield FoundReplica(block_id, stamps[block_id], length)
            else:
                self.strays.append(f"{directory}/blk_{block_id}")

    def finish_renames(self) -> None:
        """A block file in rbw/ whose meta file is already in its finalized directory follows it."""
        metas: set[int] = set()
        blocks: list[int] = []
        for entry in os.scandir(self.root / RBW):
            block_id, stamp = parse_name(entry.name)
            if block_id is not None and stamp is not None:
                metas.add(block_id)
            elif block_id is not None:
                blocks.append(block_id)
        for block_id in blocks:
            if block_id in metas:
                continue
            here, there = self.data_path(RBW, block_id), self.data_path(FINALIZED, block_id)
            if not there.exists() and any(there.parent.glob(f"{there.name}_*.meta")):
                here.rename(there)
                self.directory_sync.sync(there.parent)
            else:
                here.unlink()  # no checksums: nothing can be said of these bytes, and nobody was told of them


def parse_name(name: str) -> tuple[int | None, int | None]:
    """(block id, None) of a block file, (block id, stamp) of a meta file, (None, None) of anything else."""
    if not name.startswith("blk_"):
        return None, None
    if name.endswith(".meta"):
        block_id, _, stamp = name[4:-5].partition("_")
        return (int(block_id), int(stamp)) if block_id.isdecimal() and stamp.isdecimal() else (None, None)
    return (int(name[4:]), None) if name[4:].isdecimal() else (None, None)


def _directories(path: str) -> Iterator[str]:
    with os.scandir(path) as entries:
        yield from sorted(entry.path for entry in entries if entry.is_dir() and entry.name.startswith("subdir"))
