"""The nouns of the job tracker: stages, attempt ids, a job's plan as scheduling sees it, results
and failures. Frozen, JSON-able fields.

The tracker's core never reads a JobSpec or a FailureReport: the shell hands both over as bytes
beside the few facts that decisions need.
"""

from __future__ import annotations

from dataclasses import dataclass

MAP, REDUCE = "map", "reduce"
LETTERS = {MAP: "m", REDUCE: "r"}

MAX_ATTEMPT_ID_CHARACTERS = 100
"""Ours have about 40. Python refuses to make a number of thousands of digits, and nothing may raise
here."""

Counters = tuple[tuple[str, str, int], ...]
"""(group, name, value), sorted, each (group, name) once."""

JOB_GROUP = "job"
ENGINE_COUNTERS = (
    "map_input_records",
    "map_output_records",
    "combine_output_records",
    "reduce_input_groups",
    "reduce_output_records",
    "lost_map_outputs",
)
"""Counters every job's status shows, 0 when nothing was counted."""


@dataclass(frozen=True, slots=True)
class TaskId:
    stage: str
    index: int

    def __str__(self) -> str:
        return f"{self.stage}/{self.index}"


@dataclass(frozen=True, slots=True)
class AttemptId:
    """`attempt_YYYYMMDD_3000001_m_000003_0`. Numbers start at 1000 × (tracker epochs since the job
    was accepted), so that a tracker that restarts without knowing what its predecessor launched
    never gives one id to two attempts."""

    job_id: str
    stage: str
    index: int
    number: int

    @property
    def task(self) -> TaskId:
        return TaskId(self.stage, self.index)

    def __str__(self) -> str:
        job = self.job_id.removeprefix("job_")
        return f"attempt_{job}_{LETTERS[self.stage]}_{self.index:06d}_{self.number}"

    @staticmethod
    def parse(text: str) -> AttemptId | None:
        """None for anything that is not an attempt's id in its one spelling."""
        parts = text.split("_") if len(text) <= MAX_ATTEMPT_ID_CHARACTERS else []
        if len(parts) != 6 or parts[0] != "attempt" or parts[3] not in ("m", "r"):
            return None
        if not all(
            part.isascii() and part.isdigit() for part in (parts[1], parts[2], parts[4], parts[5])
        ):
            return None
        found = AttemptId(
            f"job_{parts[1]}_{parts[2]}",
            MAP if parts[3] == "m" else REDUCE,
            int(parts[4]),
            int(parts[5]),
        )
        return found if str(found) == text else None


@dataclass(frozen=True, slots=True)
class MapInput:
    """One split: opaque to the tracker but for the hosts that hold its bytes."""

    split_json: bytes
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What was submitted. `spec_json` is the whole JobSpec without its splits."""

    name: str
    user: str
    output: str
    maps: tuple[MapInput, ...]
    reduces: int
    spec_json: bytes = b""
    max_attempts: int = 4
    replaced_file_id: int = (
        0  # the existing output directory that this job swaps out; 0 = the output must not exist
    )
    code: str = ""  # its own code archive, which goes when it has ended

    @property
    def committing_stage(self) -> str:
        """The stage whose attempts write part files and ask to commit."""
        return REDUCE if self.reduces else MAP


@dataclass(frozen=True, slots=True)
class FileResult:
    """An attempt's private part file, closed."""

    path: str
    file_id: int
    length: int
    crc32c: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt or a job failed. `report_json` is the FailureReport the user will read, b""
    when there is none."""

    kind: str
    message: str
    report_json: bytes = b""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt as `mrc job logs` lists it."""

    attempt_id: str
    worker_id: str
    state: str  # RUNNING | SUCCEEDED | FAILED | KILLED | LOST


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator may turn. Durations in microseconds of the monotonic clock."""

    dead_after_us: int = 5_000_000  # silence of a worker's reports after which it is dead
    detached_after_us: int = 2_000_000  # the same once its stream of orders has ended too
    # a dead worker is listed for at least so long; when a worker comes after that, it is forgotten
    forget_dead_us: int = 3_600_000_000
    # how long a new tracker waits for workers before it re-runs what they may still hold
    readopt_grace_us: int = 3_000_000
    kill_grace_us: int = (
        10_000_000  # a killed attempt that is never reported ended frees its slot after this
    )
    # the most that removing a finished job's work waits for its killed attempts to end
    staging_grace_us: int = 5_000_000
    locality_wait_us: int = (
        300_000  # how long a map waits for a slot on a host that holds its split
    )
    slow_start: float = 0.05  # share of maps done before reduces may take slots that maps could use
    early_reduce_share: float = (
        0.25  # share of all slots that reduces may hold while maps still wait for one
    )
    max_losses: int = (
        10  # attempts and outputs of one task lost to dying workers before the job fails
    )
    fetch_reports: int = 2  # reports of an unreachable map output before it is made again
    keep_finished: int = 1000  # finished jobs remembered
    checkpoint_edits: int = 20_000  # edits between two checkpoints: bounds what a restart replays
    max_watchers: int = 100
    max_workers: int = 4_096  # known at a time, dead ones included
    max_live_jobs: int = 1_000  # accepted and not finished
    max_live_tasks: int = 200_000  # of all of them together
