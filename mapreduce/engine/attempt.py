"""What goes into a task attempt and what comes out of it, besides the records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mapreduce.api.counters import Totals
from mapreduce.model import FRAMES


class Progress(NamedTuple):
    fraction: float  # 0..1 of this task
    phase: str  # map | sort | reduce
    status: str  # what the job said last with context.status
    counters: Totals  # so far


ProgressSink = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Task:
    """Who is running: `index` is the task's number in its stage, from 0."""

    attempt_id: str
    index: int


@dataclass(frozen=True, slots=True)
class MapOutput:
    """What a task made for others: files `data_path` and `index_path` (read them with
    map_output.read_index), one segment per partition."""

    data_path: Path
    index_path: Path
    segment_bytes: tuple[int, ...]
    segment_records: tuple[int, ...]
    counters: Totals


@dataclass(frozen=True, slots=True)
class Segment:
    """One partition of what another task made, as fetched: bytes in a local file, or in memory when
    `data` is given. Values are merged in the order of (edge, task, partition)."""

    task: int
    length: int
    crc32c: int  # of the whole segment, from the output's index
    path: str = ""
    offset: int = 0
    data: bytes | None = None
    edge: int = 0
    partition: int = 0
    codec: int = FRAMES

    @property
    def order(self) -> tuple[int, int, int]:
        return self.edge, self.task, self.partition


@dataclass(frozen=True, slots=True)
class PartOutput:
    """What was written to the part file; the caller compares `length` with the closed file's."""

    length: int
    crc32c: int
    records: int
    counters: Totals


def no_progress(_progress: Progress) -> None:
    pass
