"""Reads a segment frame by frame, verifying every byte. Opens a file only while it reads, so
thousands of segments need no descriptors."""

from __future__ import annotations

from pathlib import Path

from clusterkit.checksum import crc32c
from clusterkit.errors import CorruptRecord
from mapreduce.engine.attempt import Segment
from mapreduce.engine.codec import HEADER, Frame, Section, decode_frame
from mapreduce.failures import FailureReport, SegmentCorrupt
from mapreduce.model import FRAMES

WINDOW_BYTES = 1 << 18
"""Read at once; a merge of 256 runs holds 64 MiB of them."""


class SegmentReader:
    """A cursor on a segment. `section` is the section of the next frame, None at the end. Raises
    SegmentCorrupt, also when constructed."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._window = segment.data if segment.data is not None else b""
        self._at = 0  # in the window
        self._unread = 0 if segment.data is not None else segment.length  # bytes still in the file
        self._crc = 0
        if segment.data is not None and len(segment.data) != segment.length:
            raise self._corrupt(f"has {len(segment.data)} bytes, its index says {segment.length}")
        if segment.codec != FRAMES:
            raise self._corrupt(f"has codec {segment.codec}, which is not read here")
        self.section: Section | None = None
        self.is_frozen = False  # a frame that was read held values that have to be thawed
        self._peek()

    @property
    def bytes_left(self) -> int:
        return self._unread + len(self._window) - self._at

    def next_frame(self) -> Frame:
        """The next frame; only when `section` is not None."""
        header = self._window[self._at : self._at + HEADER.size]
        section, _reserved, records, length, crc = HEADER.unpack(header)
        self._need(HEADER.size + length)
        payload = self._window[self._at + HEADER.size : self._at + HEADER.size + length]
        self._crc = crc32c(payload, crc32c(header, self._crc))
        self._at += HEADER.size + length
        try:
            frame = decode_frame(section, records, crc, payload)
        except CorruptRecord as error:
            raise self._corrupt(error.message) from error
        self.is_frozen = self.is_frozen or frame.is_frozen
        self._peek()
        return frame

    def _peek(self) -> None:
        if not self.bytes_left:
            if self._crc != self.segment.crc32c:
                raise self._corrupt("does not match its checksum")
            self.section = None
            return
        self._need(HEADER.size)
        try:
            self.section = Section(self._window[self._at])
        except ValueError as error:
            raise self._corrupt(str(error)) from error

    def _need(self, length: int) -> None:
        """Has that many bytes in the window. Raises CorruptRecord where the segment ends before."""
        held = len(self._window) - self._at
        if held >= length:
            return
        wanted = min(self._unread, max(WINDOW_BYTES, length - held))
        more = self._read(wanted) if held + wanted >= length else b""
        if held + len(more) < length or len(more) < wanted:
            raise self._corrupt("ends in the middle of a frame")
        self._window = self._window[self._at :] + more
        self._at = 0
        self._unread -= len(more)

    def _read(self, length: int) -> bytes:
        with Path(self.segment.path).open("rb") as file:
            file.seek(self.segment.offset + self.segment.length - self._unread)
            return file.read(length)

    def _corrupt(self, reason: str) -> SegmentCorrupt:
        message = f"partition {self.segment.partition} of task {self.segment.task} {reason}"
        return SegmentCorrupt(
            FailureReport(kind="shuffle", message=message, path=self.segment.path),
            self.segment.task,
        )
