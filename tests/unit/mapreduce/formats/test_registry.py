"""Formats are rows of a table: the planner and the engine take whatever a job's spec names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clusterkit.checksum import crc32c
from clusterkit.errors import UsageError
from mapreduce.api.job import Job
from mapreduce.engine.attempt import Task
from mapreduce.engine.tasks import run_map_only, run_reduce
from mapreduce.formats import registry
from mapreduce.formats.registry import FORMATS, Format, format_of
from mapreduce.plan.spec import Split
from mapreduce.storage.memory import MemoryStorage
from tests.unit.mapreduce.engine.running import spec_of


class Digits:
    """Records of two digits, told as numbers, in one batch."""

    def __init__(self, data: bytes, start: int) -> None:
        self.records = [int(data[at : at + 2]) for at in range(0, len(data), 2)]
        self.bytes_done, self._start = 0, start

    def batches(self) -> Iterator[Digits]:
        yield self
        self.bytes_done = 2 * len(self.records)

    def offset(self, index: int) -> int:
        return self._start + 2 * index


class Sums:
    """Writes the sum of all values, once."""

    def __init__(self, writer: Any) -> None:
        self._writer, self.sum = writer, 0
        self.length = self.crc32c = self.records = 0

    def write(self, pairs: Any) -> None:
        for _key, value in pairs:
            self.sum, self.records = self.sum + value, self.records + 1

    def take(self, pairs: Any, limit: int) -> bool:
        self.write(pairs)
        return False

    def flush(self) -> None:
        data = str(self.sum).encode()
        self._writer.write(data)
        self.length, self.crc32c = len(data), crc32c(data)


def read(reader: Any, split: Split, _spec: Any) -> Digits:
    return Digits(reader.read_at(split.offset, split.length), split.offset)


def write(writer: Any, _spec: Any) -> Sums:
    return Sums(writer)


HERE = "tests.unit.mapreduce.formats.test_registry"


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> Format:
    made = Format("digits", read=f"{HERE}:read", write=f"{HERE}:write")
    monkeypatch.setitem(FORMATS, "digits", made)
    return made


class Plus(Job):
    def map(self, record: Any) -> Iterator[tuple[Any, Any]]:
        yield "n", record + 1

    def reduce(self, key: Any, values: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        yield key, sum(values)


def test_a_map_reads_and_writes_what_its_spec_names(digits: Format) -> None:
    storage = MemoryStorage()
    storage.put("/in", b"99102030")
    spec = msgspec.structs.replace(spec_of(Plus, 0), input_format="digits", output_format="digits")
    writer = storage.create("/part")
    part = run_map_only(Plus, spec, Split("/in", 2, 6), storage, writer, task=Task("a", 0))
    writer.close()
    assert storage.open("/part").read_at(0, 9) == b"63"
    assert (part.length, part.records, part.crc32c) == (2, 3, crc32c(b"63"))
    assert part.counters["job"]["map_input_records"] == 3


def test_a_reduce_writes_what_its_spec_names(digits: Format, tmp_path: Path) -> None:
    storage = MemoryStorage()
    spec = msgspec.structs.replace(spec_of(Plus, 1), output_format="digits")
    writer = storage.create("/part")
    run_reduce(Plus, spec, [], writer, tmp_path, task=Task("a", 0))
    writer.close()
    assert storage.open("/part").read_at(0, 9) == b"0"


def test_a_format_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="there is no format 'parquet'; there are: text"):
        format_of("parquet")


def test_what_a_format_cannot_do_is_said(digits: Format) -> None:
    with pytest.raises(UsageError, match="the format digits cannot split"):
        digits.splits(MemoryStorage(), [], split_bytes=0, least=1)


def test_every_row_names_functions_that_are_there() -> None:
    for found in FORMATS.values():
        for what in ("split", "read", "write"):
            assert callable(registry._function(found, what))
