"""Runs a job's tasks one after the other, in this process and without a runner: what the engine's
tests share."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mapreduce.api.counters import Totals, add_totals
from mapreduce.api.job import Job, defines
from mapreduce.engine import map_task
from mapreduce.engine.attempt import Segment, Task, no_progress
from mapreduce.engine.map_output import read_index
from mapreduce.engine.tasks import run_map_only, run_reduce
from mapreduce.plan.describe import class_facts
from mapreduce.plan.spec import CodeRef, JobSpec, Split
from mapreduce.storage.memory import MemoryStorage


class EveryNth:
    """A spill gauge that is full at every n-th look."""

    def __init__(self, n: int) -> None:
        self._n, self._looks = n, 0

    def is_full(self, records: int) -> bool:
        self._looks += 1
        return bool(self._n) and self._looks % self._n == 0 and records > 0

    def spilled(self, records: int) -> None:
        pass


def spec_of(job: type[Job], reducers: int, parameters: dict[str, object] | None = None) -> JobSpec:
    facts = class_facts(job, "job.py", "/nowhere")
    code = CodeRef("", "", "job.py", job.__name__, "/nowhere")
    return JobSpec(
        name=job.__name__,
        code=code,
        inputs=["/in"],
        output="/out",
        reducers=reducers,
        has_combine=defines(job, "combine"),
        record_type=facts.record_type,
        encoding_errors=facts.settings["encoding_errors"],
        parameters=parameters or {},
    )


def run_job(
    job: type[Job],
    data: bytes,
    cuts: Sequence[int] = (),
    *,
    reducers: int = 2,
    spill_every: int = 0,
    damage: Callable[[Segment], Segment] = lambda s: s,
    parameters: dict[str, object] | None = None,
) -> tuple[list[bytes], Totals]:
    """The part files and the counters of a job over `data` cut at `cuts`."""
    storage, totals = MemoryStorage(), {}
    storage.put("/in", data)
    spec = spec_of(job, reducers, parameters)
    edges = [0, *sorted(cuts), len(data)]
    splits = [Split("/in", start, end - start) for start, end in itertools.pairwise(edges)]
    parts: list[bytes] = []
    with tempfile.TemporaryDirectory() as scratch:
        outputs = []
        for index, split in enumerate(splits):
            task, name = Task(f"attempt_m_{index}", index), f"/parts/m-{index}"
            if reducers == 0:
                writer = storage.create(name)
                add_totals(
                    totals, run_map_only(job, spec, split, storage, writer, task=task).counters
                )
                writer.close()
                parts.append(_read(storage, name))
                continue
            directory = Path(scratch) / f"m{index}"
            directory.mkdir()
            output = map_task.run_map(
                job,
                spec,
                split,
                storage,
                directory,
                task=task,
                progress=no_progress,
                gauge=EveryNth(spill_every),
            )
            assert sorted(p.name for p in directory.iterdir()) == ["map.data", "map.index"]
            add_totals(totals, output.counters)
            outputs.append(output)
        for number in range(reducers):
            segments = []
            for index, output in enumerate(outputs):
                entry = read_index(output.index_path).entries[number]
                assert (entry.length, entry.records) == (
                    output.segment_bytes[number],
                    output.segment_records[number],
                )
                segments.append(
                    damage(
                        Segment(
                            index, entry.length, entry.crc32c, str(output.data_path), entry.offset
                        )
                    )
                )
            writer = storage.create(f"/parts/r-{number}")
            directory = Path(scratch) / f"r{number}"
            directory.mkdir()
            part = run_reduce(
                job,
                spec,
                reversed(segments),
                writer,
                directory,
                task=Task(f"attempt_r_{number}", number),
            )
            assert writer.close().length == part.length
            add_totals(totals, part.counters)
            parts.append(_read(storage, f"/parts/r-{number}"))
    return parts, totals


def _read(storage: MemoryStorage, path: str) -> bytes:
    return storage.open(path).read_at(0, 1 << 30)
