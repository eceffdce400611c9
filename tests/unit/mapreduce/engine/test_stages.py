"""A reduce that feeds another stage: what it yields is partitioned and sorted as a map's is, and
the values of a key come in the order of (edge, task, position)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mapreduce.api.job import Job
from mapreduce.engine.attempt import MapOutput, Segment, Task
from mapreduce.engine.keys import encode
from mapreduce.engine.map_output import read_index
from mapreduce.engine.partition import partition_of
from mapreduce.engine.tasks import run_map, run_reduce, run_reduce_into_partitions
from mapreduce.failures import SegmentCorrupt, UserCodeFailed
from mapreduce.plan.spec import Split
from mapreduce.storage.memory import MemoryStorage
from tests.unit.mapreduce.engine.running import spec_of


class Words(Job):
    def map(self, line: str) -> Iterator[tuple[Any, Any]]:
        for word in line.split():
            yield word, 1

    def reduce(self, word: Any, counts: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        yield len(word), (word, sum(counts))


class Lists(Words):
    def reduce(self, key: Any, values: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        yield key, list(values)


def mapped(folder: Path, text: bytes, partitions: int, job: type[Job] = Words) -> MapOutput:
    storage = MemoryStorage()
    storage.put("/in", text)
    folder.mkdir()
    split = Split("/in", 0, len(text))
    task = Task("m", 0)
    spec = spec_of(job, 1)
    return run_map(job, spec, split, storage, folder, task=task, partitions=partitions)


def cuts(output: MapOutput, partition: int, *, task: int = 0, edge: int = 0) -> Segment:
    entry = read_index(output.index_path).entries[partition]
    return Segment(
        task=task,
        length=entry.length,
        crc32c=entry.crc32c,
        path=str(output.data_path),
        offset=entry.offset,
        edge=edge,
        partition=partition,
    )


def regrouped(
    folder: Path, segments: list[Segment], partitions: int, job: type[Job] = Words, **fields: Any
) -> MapOutput:
    (folder / "work").mkdir(parents=True)
    (folder / "out").mkdir()
    spec = msgspec.structs.replace(spec_of(job, 1), **fields)
    return run_reduce_into_partitions(
        job,
        spec,
        segments,
        folder / "out",
        folder / "work",
        partitions=partitions,
        task=Task("r", 0),
    )


def listed(folder: Path, segments: list[Segment]) -> list[str]:
    storage = MemoryStorage()
    folder.mkdir()
    writer = storage.create("/part")
    run_reduce(Lists, spec_of(Lists, 1), segments, writer, folder, task=Task("j", 0))
    writer.close()
    return storage.open("/part").read_at(0, 1 << 20).decode().splitlines()


def test_what_a_reduce_yields_is_cut_for_the_next_stage(tmp_path: Path) -> None:
    text = b"bb a ccc a dd bb eeee\n"
    output = regrouped(tmp_path / "r", [cuts(mapped(tmp_path / "m", text, 1), 0)], 3)
    assert sorted(path.name for path in (tmp_path / "r/out").iterdir()) == ["map.data", "map.index"]
    assert output.segment_records == tuple(
        sum(partition_of(encode(len(word)), 3) == cut for word in {*text.decode().split()})
        for cut in range(3)
    )
    lines = [line for cut in range(3) for line in listed(tmp_path / f"j{cut}", [cuts(output, cut)])]
    assert sorted(lines) == [
        "1\t[('a', 2)]",
        "2\t[('bb', 2), ('dd', 1)]",
        "3\t[('ccc', 1)]",
        "4\t[('eeee', 1)]",
    ]
    totals = output.counters["job"]
    assert (totals["reduce_input_groups"], totals["reduce_output_records"]) == (5, 5)


def test_values_come_by_edge_then_task_then_position(tmp_path: Path) -> None:
    class Tagged(Words):
        def map(self, line: str) -> Iterator[tuple[Any, Any]]:
            for position, _word in enumerate(line.split()):
                yield "k", f"{line[0]}{position}"

    outputs = {
        name: mapped(tmp_path / name, name.encode() * 1 + b" x\n", 2, Tagged) for name in "abcd"
    }
    cut = partition_of(encode("k"), 2)
    segments = [
        cuts(outputs["d"], cut, edge=1, task=1),
        cuts(outputs["c"], cut, edge=1, task=0),
        cuts(outputs["b"], cut, edge=0, task=7),
        cuts(outputs["a"], cut, edge=0, task=2),
    ]
    assert listed(tmp_path / "j", segments) == [
        "k\t['a0', 'a1', 'b0', 'b1', 'c0', 'c1', 'd0', 'd1']"
    ]


def test_more_than_fits_is_spilled_and_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mapreduce.engine.reduce_task.MAX_TAKEN_PAIRS", 7)
    monkeypatch.setattr(
        "mapreduce.engine.reduce_task.ResidentGauge", lambda _bytes: _EveryFewRecords()
    )
    text = b" ".join(b"w%d" % number for number in range(100)) + b"\n"
    output = regrouped(tmp_path / "r", [cuts(mapped(tmp_path / "m", text, 1), 0)], 1, Lists)
    assert output.counters["job"]["spilled_records"] > 50
    assert listed(tmp_path / "j", [cuts(output, 0)]) == [
        f"w{number}\t[[1]]" for number in sorted(range(100), key=str)
    ]


class _EveryFewRecords:
    def is_full(self, records: int) -> bool:
        return records > 20

    def spilled(self, _records: int) -> None:
        pass


def test_another_codec_is_not_taken_for_frames(tmp_path: Path) -> None:
    segment = replace(cuts(mapped(tmp_path / "m", b"a\n", 1), 0), codec=7)
    with pytest.raises(SegmentCorrupt, match="partition 0 of task 0 has codec 7"):
        listed(tmp_path / "j", [segment])


def test_an_error_of_the_users_in_between_is_told_as_in_every_reduce(tmp_path: Path) -> None:
    class Broken(Words):
        def reduce(self, word: Any, counts: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
            raise ValueError(word)
            yield

    with pytest.raises(UserCodeFailed, match="ValueError: a"):
        regrouped(tmp_path / "r", [cuts(mapped(tmp_path / "m", b"a\n", 1), 0)], 1, Broken)


def test_an_error_in_what_a_reduce_returned_is_the_users_too(tmp_path: Path) -> None:
    """`return map(int, …)` leaves no frame of theirs when it fails."""

    class Lazy(Words):
        def reduce(self, word: Any, counts: Iterator[Any]) -> Any:
            return ((word, int(one)) for one in map(int, [word]))

    class Bare(Words):
        def reduce(self, word: Any, counts: Iterator[Any]) -> Any:
            return map(int, [word])

    for job in (Lazy, Bare):
        segments = [cuts(mapped(tmp_path / f"m{job.__name__}", b"a\n", 1), 0)]
        with pytest.raises(UserCodeFailed, match="invalid literal"):
            regrouped(tmp_path / f"r{job.__name__}", segments, 1, job)
