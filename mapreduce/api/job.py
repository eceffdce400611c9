"""The class that a user derives a job from.

    from mapreduce import Job

    class WordCount(Job):
        min_length: int = 1                      # a parameter: `--min-length 3`

        def map(self, line: str):
            for word in line.split():
                if len(word) >= self.min_length:
                    yield word, 1

        def reduce(self, word, counts):
            yield word, sum(counts)

        combine = reduce

`map` is required. Without `reduce` the pairs are written as they are, in the order of their keys;
`reducers = 0` leaves out sorting too. A yielded value is taken as it is at that moment, and every
value that combine and reduce are given is their own: no change to an object reaches another key,
record or task. Time in the job's methods counts as progress while records, pairs, values or
counters move.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from mapreduce.api.context import Context
from mapreduce.api.counters import Counter, Counters

PARAMETER_TYPES: tuple[type, ...] = (str, int, float, bool)


class Job:
    """Base of all jobs. The class attributes below are settings; every other annotated attribute of
    a subclass whose type is str, int, float or bool is a parameter of the command line. A parameter
    without a default must be given. Parameters are set before `__init__` runs, and what was given
    is not changed by it; a dataclass's `__init__` is handed them."""

    reducers: ClassVar[int] = 2
    """Output partitions; 0 writes what `map` yields, unsorted, one part per split."""
    split_bytes: ClassVar[int] = 0
    """Exact size of a map's input; 0 = 16 MiB inside blocks, larger for very large inputs."""
    encoding_errors: ClassVar[str] = "strict"
    """`strict` fails a record that is not UTF-8; `replace` puts U+FFFD for the bytes that are
    not."""
    max_attempts: ClassVar[int] = 4
    memory_limit_bytes: ClassVar[int] = 2 << 30
    """Resident size at which a task is ended, with its subprocesses and the files of /dev/shm that
    it holds."""
    file_limit_bytes: ClassVar[int] = 64 << 30
    """Largest file that a task may write; writing more raises OSError, File too large."""
    spill_bytes: ClassVar[int] = 256 << 20
    """Growth of a map task's resident size at which it sorts and writes out what it holds."""
    no_progress_limit_s: ClassVar[float] = 600.0
    output_replication: ClassVar[int] = 0
    """Replicas of the output files; 0 = the file system's default."""

    context: Context
    _counters: Counters

    def counter(self, name: str, group: str = "") -> Counter:
        """The counter of that name; its group is the job's class name unless one is given. Counters
        hold whole numbers of 64 bits."""
        return self._counters.counter(group or type(self).__name__, name)

    def setup(self) -> None:
        """Called once in every task before its first record. It cannot yield."""

    def teardown(self) -> None:
        """Called once in every task after its last record; not after an error. It cannot yield:
        pairs come from map, combine and reduce."""

    def map(self, record: Any) -> Iterable[tuple[Any, Any]]:
        """Yields (key, value) pairs for one record. Annotate the record `bytes` to get it
        undecoded."""
        raise TypeError(f"{type(self).__name__} has no map")

    def reduce(self, key: Any, values: Iterator[Any]) -> Iterable[tuple[Any, Any]]:
        """Yields (key, value) pairs for one key and all its values, which can be read once."""
        for value in values:
            yield key, value


def defines(job: type[Job], method: str) -> bool:
    """Whether the user wrote it."""
    return getattr(job, method, None) is not None and getattr(job, method) is not getattr(
        Job, method, None
    )


def start(
    job: type[Job],
    parameters: Mapping[str, Any],
    context: Context,
    counters: Counters,
    *,
    given: Collection[str] = (),
) -> Job:
    """An instance for one task attempt, with its parameters set; `setup` is still to be called.

    They are there before `__init__` runs, so that it can use them; a generated `__init__` (a
    dataclass's) is handed them; and those that were `given` on the command line are set once more
    behind it, because what the caller says goes before what the class does."""
    instance = job.__new__(job)
    for name, value in {"context": context, "_counters": counters, **parameters}.items():
        _put(instance, name, value)
    instance.__init__(**_arguments(job, parameters))  # type: ignore[misc]
    for name in given:
        _put(instance, name, parameters[name])
    return instance


def is_generated(job: type[Job]) -> bool:
    """Whether a decorator wrote the class's `__init__` from its annotations: a dataclass, or one of
    attrs."""
    return hasattr(job, "__dataclass_fields__") or hasattr(job, "__attrs_attrs__")


def _arguments(job: type[Job], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What `__init__` takes by the name of a parameter: all of it when it is generated, else what
    it cannot do without."""
    if job.__init__ is object.__init__:
        return {}
    wanted = inspect.signature(job.__init__).parameters.values()
    named = [
        one
        for one in wanted
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY) and one.name in parameters
    ]
    return {
        one.name: parameters[one.name]
        for one in named
        if one.default is one.empty or is_generated(job)
    }


def _put(instance: Job, name: str, value: Any) -> None:
    try:
        setattr(instance, name, value)
    except (
        AttributeError,
        TypeError,
    ):  # a frozen one; with slots, CPython 3.11 says it by a TypeError
        object.__setattr__(instance, name, value)
