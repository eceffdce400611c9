"""What a job is once it is planned: plain data that travels as JSON. No user code in it, and none
is needed to read it.

`JobSpec.to_json` / `JobSpec.from_json` are the only wire form; `from_json` validates (msgspec) and
raises UsageError naming the field.
"""

from __future__ import annotations

from typing import Any

import msgspec

from clusterkit.errors import UsageError

SPEC_VERSION = 1
DEFAULT_REDUCERS = 2
MAX_JOB_COUNTERS = 20_000
COUNTERS_LEFT_OUT = "counters_left_out"
"""A job's counters have at most so many names; how often a task counted under one more is told by
the engine's own counter of this name."""
HASH_SEED = 0
"""PYTHONHASHSEED of every process that runs a job's code, in every runner: `hash` of a text, and
with it the order of a set, is then the same in all tasks of a job, on all workers, and when the job
is run again. One number for all jobs, because a process cannot change it."""
DEFAULT_SPLIT_BYTES = 16 << 20
MAX_MAPS = 10_000
"""Of a job: splits of the usual size are doubled until there are no more, and the tracker takes no
more, because a step of its core touches no more records."""


class Split(msgspec.Struct, frozen=True):
    """A byte range of one file. A record belongs to the split that holds its first byte.
    `hosts` = datanode hostnames/addresses that hold it."""

    path: str  # absolute URI or path of the storage the job reads
    offset: int
    length: int
    hosts: list[str] = []
    # of the file as it was planned (storage.api.FileInfo): a task that finds another one fails the
    # job; "" = not checked
    stamp: str = ""


class CodeRef(msgspec.Struct, frozen=True):
    """The job's file and the modules beside it, zipped. `origin` is the directory it came from:
    tracebacks show that path."""

    archive: str  # path of the zip in the cluster's file system, or a local path (local runner)
    sha256: str
    module_file: str  # file name inside the archive, e.g. "wordcount.py"
    class_name: str
    origin: str
    module: str = ""  # the name it is imported under; its classes travel by it
    private: list[
        str
    ] = []  # modules beside it that are called like installed ones (plan/imports.py)


MAP, REDUCE = "map", "reduce"


class Program(msgspec.Struct, frozen=True):
    """What the tasks of one stage run: the class's `map` on the records of a split, or its `reduce`
    on the values of each key of what they fetch. Where the pairs go that it yields, into partitions
    or into a file, the stage says."""

    runs: str = MAP
    class_name: str = ""  # another class of the job's file than the job's own


CLASSIC = (Program(MAP), Program(REDUCE))


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    version: int = SPEC_VERSION
    name: str
    code: CodeRef
    parameters: dict[
        str, Any
    ] = {}  # the class's own parameters, every one; as plan.parameters encodes them
    given: list[
        str
    ] = []  # those that the command line gave, which go before what the class does in __init__
    inputs: list[str]  # as given
    output: str
    overwrite: bool = False
    replaced_inode_id: int = 0  # the output directory that overwrite replaces; 0 = none existed
    replaced_job_id: str = ""  # the job that made it
    reducers: int = DEFAULT_REDUCERS  # 0 = map-only
    has_combine: bool = False
    input_format: str = "text"  # of mapreduce.formats.registry, as the next
    output_format: str = "text"
    record_type: str = "str"  # str | bytes: what `map` annotated
    encoding_errors: str = "strict"
    splits: list[Split] = []
    max_attempts: int = 4
    no_progress_limit_s: float = 600.0
    memory_limit_bytes: int = 2 << 30  # resident size of one task process
    file_limit_bytes: int = 64 << 30  # largest file that a task may write
    spill_bytes: int = 256 << 20  # growth of a map task's resident size before it spills
    output_replication: int = 0  # 0 = the file system's default
    python: str = ""  # "3.11": submitter's minor version; workers refuse another
    hash_seed: int = HASH_SEED  # PYTHONHASHSEED; workers refuse another than theirs

    programs: list[Program] = []  # by stage; none: a classic job's, map and reduce

    def program(self, stage: int) -> Program:
        """Raises UsageError for a stage that the spec says nothing of."""
        programs = self.programs or CLASSIC
        if not 0 <= stage < len(programs):
            raise UsageError(f"the job's spec names no program for stage {stage}")
        return programs[stage]

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)

    @staticmethod
    def from_json(data: bytes) -> JobSpec:
        try:
            return msgspec.json.decode(data, type=JobSpec)
        except msgspec.DecodeError as error:
            raise UsageError(f"job spec does not decode: {error}") from error
