"""What the warm server does before its first fork: loads what every task needs, and runs one tiny
job through it in memory.

The tiny job fills the caches that a first use fills (the interpreter's, of regular expressions, of
decoders), so that no task pays for them again. It touches no network and no user's code.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mapreduce.api.job import Job
from mapreduce.engine.attempt import Segment, Task
from mapreduce.engine.map_output import read_index
from mapreduce.engine.tasks import run_map, run_reduce
from mapreduce.plan.spec import CodeRef, JobSpec, Split
from mapreduce.storage.memory import MemoryStorage
from mapreduce.storage.opening import preload_adaptors

LATE_MODULES = ("encodings.idna", "encodings.cp437", "stringprep", "unicodedata")
"""What sockets, zip files and tracebacks load when they are first used."""


class _Words(Job):
    def map(self, line: str) -> Iterator[tuple[str, int]]:
        for word in line.split():
            yield word, 1

    def reduce(self, word: str, counts: Iterator[int]) -> Iterator[tuple[str, int]]:
        yield word, sum(counts)

    combine = reduce


def warm_up() -> None:
    preload_adaptors()
    for name in LATE_MODULES:
        importlib.import_module(name)
    for _ in range(3):
        _run_tiny_job()


def _run_tiny_job() -> None:
    storage = MemoryStorage()
    writer = storage.create("/in")
    writer.write(b"a b a\n" * 10)
    writer.close()
    code = CodeRef("/code.zip", "", "words.py", "Words", "/")
    spec = JobSpec(
        name="warm-up", code=code, inputs=["/in"], output="/out", reducers=1, has_combine=True
    )
    spec = JobSpec.from_json(spec.to_json())
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        made = run_map(
            _Words,
            spec,
            Split("/in", 0, 60),
            storage,
            directory,
            task=Task("attempt_0_0_s0_000000_0", 0),
        )
        entry = read_index(made.index_path).entries[0]
        segment = Segment(
            0, entry.length, entry.crc32c, path=str(made.data_path), offset=entry.offset
        )
        part = storage.create(f"/{name}/part")
        run_reduce(
            _Words, spec, [segment], part, directory, task=Task("attempt_0_0_s1_000000_0", 0)
        )
        part.close()
