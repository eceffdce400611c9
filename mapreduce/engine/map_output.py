"""A finished output's two files: `data`, one segment per partition one after the other, and
`index`, where each one is.

The index is written last and renamed into place, so an output with an index is whole. Neither
file is fsynced: what a power cut takes is made again. Knows bytes and checksums only, so daemons
may import it; what a segment says is codec.py's.

    data    magic `MRMO` · version u16 · codec u16 · segments
    index   magic `MRIX` · version u16 · codec u16 · partitions u32
            · per partition: offset u64, length u64, records u64, crc32c u32
            · crc32c u32 of everything before
"""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import NamedTuple

from clusterkit.checksum import crc32c
from clusterkit.disks import with_its_disk
from clusterkit.errors import CorruptRecord
from mapreduce.model import FRAMES

DATA_NAME, INDEX_NAME = "map.data", "map.index"
VERSION = 2
_HEAD = struct.Struct("<4sHH")
_COUNT = struct.Struct("<I")
_ENTRY = struct.Struct("<QQQI")
_WRITE_BYTES = 1 << 20


class SegmentEntry(NamedTuple):
    offset: int
    length: int
    records: int
    crc32c: int  # of the segment's bytes; 0 when it is empty


class OutputIndex(NamedTuple):
    codec: int  # of every segment: 1 = the engine's frames, anything else is not ours to read
    entries: list[SegmentEntry]  # one a partition


def read_index(path: Path) -> OutputIndex:
    """Raises CorruptRecord, FileNotFoundError."""
    data = path.read_bytes()
    if len(data) < _HEAD.size + _COUNT.size + 4 or _HEAD.unpack_from(data)[0] != b"MRIX":
        raise CorruptRecord(f"{path} is not a map output index")
    _magic, version, codec = _HEAD.unpack_from(data)
    if version != VERSION:
        raise CorruptRecord(f"{path} has version {version}, this program reads {VERSION}")
    if crc32c(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise CorruptRecord(f"{path} does not match its checksum")
    (count,) = _COUNT.unpack_from(data, _HEAD.size)
    start = _HEAD.size + _COUNT.size
    if len(data) != start + count * _ENTRY.size + 4:
        raise CorruptRecord(f"{path} has the wrong length for {count} partitions")
    places = (_ENTRY.unpack_from(data, start + i * _ENTRY.size) for i in range(count))
    return OutputIndex(codec, [SegmentEntry(*place) for place in places])


HOLDS = "which takes what a task sets aside on its way"


class MapOutputWriter:
    """Writes partitions in their order: `begin` each, `write` its bytes, `finish` at the end.
    `abort` removes everything."""

    def __init__(
        self, directory: Path, partitions: int, *, stem: str = "map", codec: int = FRAMES
    ) -> None:
        self._codec = codec
        self.data_path, self.index_path = directory / f"{stem}.data", directory / f"{stem}.index"
        self._partitions = partitions
        try:
            self._file = self.data_path.open("wb", buffering=_WRITE_BYTES)
        except OSError as error:
            raise with_its_disk(error, self.data_path, HOLDS) from error
        self._file.write(_HEAD.pack(b"MRMO", VERSION, self._codec))
        self._at = _HEAD.size
        self._entries: list[SegmentEntry] = []
        self._start = self._records = self._crc = 0
        self._open = False

    def begin(self, partition: int) -> None:
        """Partitions passed over are empty."""
        self._end_segment()
        while len(self._entries) < partition:
            self._entries.append(SegmentEntry(self._at, 0, 0, 0))
        self._start, self._records, self._crc, self._open = self._at, 0, 0, True

    def write(self, data: bytes, records: int) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise with_its_disk(error, self.data_path, HOLDS) from error
        self._at += len(data)
        self._records += records
        self._crc = crc32c(data, self._crc)

    def finish(self) -> list[SegmentEntry]:
        self.begin(self._partitions)
        self._open = False
        try:
            self._finish()
        except OSError as error:
            raise with_its_disk(error, self.data_path, HOLDS) from error
        return self._entries

    def _finish(self) -> None:
        self._file.close()
        body = (
            _HEAD.pack(b"MRIX", VERSION, self._codec)
            + _COUNT.pack(self._partitions)
            + b"".join(_ENTRY.pack(*entry) for entry in self._entries)
        )
        hidden = self.index_path.with_suffix(".index.tmp")
        hidden.write_bytes(body + crc32c(body).to_bytes(4, "little"))
        hidden.rename(self.index_path)

    def abort(self) -> None:
        with contextlib.suppress(OSError):  # what was buffered finds no room either
            self._file.close()
        self.data_path.unlink(missing_ok=True)
        self.index_path.unlink(missing_ok=True)

    def _end_segment(self) -> None:
        if self._open:
            self._entries.append(
                SegmentEntry(self._start, self._at - self._start, self._records, self._crc)
            )
        self._open = False
