"""How fast one core counts words with a Python generator through the engine, beside a plain Python
loop with a dict.

    python bench/engine_wordcount.py [--megabytes 32] [--words 100000]

Zipf text; CPU seconds of this process, the best of some rounds, because the ratio is what carries
over to another machine. `map` is what a map task does with a 16 MiB split (read, map, combine,
sort, write); `reduce` merges those outputs and writes one part of two.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mapreduce import Job
from mapreduce.engine.attempt import MapOutput, Segment, Task
from mapreduce.engine.map_output import read_index
from mapreduce.engine.tasks import run_map, run_reduce
from mapreduce.plan.spec import DEFAULT_SPLIT_BYTES, CodeRef, JobSpec, Split
from mapreduce.storage.local import LocalStorage


class WordCount(Job):
    def map(self, line: str) -> Iterator[tuple[str, int]]:
        for word in line.split():
            yield word, 1

    def reduce(self, word: str, counts: Iterator[int]) -> Iterator[tuple[str, int]]:
        yield word, sum(counts)

    combine = reduce


class Uncombined(WordCount):
    combine = None  # type: ignore[assignment]


class Positions(WordCount):
    """Values that differ: no counting in place of lists."""

    def map(self, line: str) -> Iterator[tuple[str, int]]:
        for position, word in enumerate(line.split()):
            yield word, position


def write_text(path: Path, size: int, words: int) -> None:
    rng = random.Random(1)
    vocabulary = [
        "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 10)))
        for _ in range(words)
    ]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, words + 1)))
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            file.writelines(
                " ".join(rng.choices(vocabulary, cum_weights=weights, k=12)) + "\n"
                for _ in range(10_000)
            )


def cpu_seconds(action: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """The best round's, and what the last one returned."""
    best, result = float("inf"), None
    for _ in range(rounds):
        start = time.process_time()
        result = action()
        best = min(best, time.process_time() - start)
    return best, result


def plain_count(path: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            for word in line.split():
                counts[word] = counts.get(word, 0) + 1
    return counts


def run_maps(job: type[Job], spec: JobSpec, scratch: Path) -> list[MapOutput]:
    outputs = []
    for index, split in enumerate(spec.splits):
        directory = scratch / f"{job.__name__}-{index}"
        directory.mkdir(exist_ok=True)
        outputs.append(
            run_map(job, spec, split, LocalStorage(), directory, task=Task(f"m{index}", index))
        )
    return outputs


def reduce_one(job: type[Job], spec: JobSpec, outputs: list[MapOutput], scratch: Path) -> None:
    entries = [read_index(output.index_path).entries[0] for output in outputs]
    segments = [
        Segment(i, e.length, e.crc32c, str(outputs[i].data_path), e.offset)
        for i, e in enumerate(entries)
    ]
    writer = LocalStorage().create(str(scratch / "part"), overwrite=True)
    run_reduce(job, spec, segments, writer, scratch, task=Task("r0", 0))
    writer.close()


def main(arguments: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=32)
    parser.add_argument("--words", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    facts: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        text = scratch / "text"
        write_text(text, options.megabytes << 20, options.words)
        size = text.stat().st_size
        splits = [
            Split(str(text), at, min(DEFAULT_SPLIT_BYTES, size - at))
            for at in range(0, size, DEFAULT_SPLIT_BYTES)
        ]
        spec = JobSpec(
            name="bench",
            code=CodeRef("", "", "", "", ""),
            inputs=[str(text)],
            output="/out",
            splits=splits,
        )
        facts["plain dict loop"] = size / cpu_seconds(partial(plain_count, text), options.rounds)[0]
        for job in (WordCount, Uncombined, Positions):
            map_seconds, outputs = cpu_seconds(
                partial(run_maps, job, spec, scratch), options.rounds
            )
            reduce_seconds, _ = cpu_seconds(
                partial(reduce_one, job, spec, outputs, scratch), options.rounds
            )
            facts[f"{job.__name__} map"], facts[f"{job.__name__} reduce"] = (
                size / map_seconds,
                size / 2 / reduce_seconds,
            )
    if options.json:
        json.dump({name: round(rate) for name, rate in facts.items()}, sys.stdout)
        return 0
    for name, rate in facts.items():
        ratio = rate / facts["plain dict loop"]
        sys.stdout.write(
            f"{name:20} {rate / 1e6:7.1f} MB of text per CPU second   {ratio:5.2f} of the plain "
            "loop\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
