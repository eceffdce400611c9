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


def is_of_job(attempt_id: str, job_id: str) -> bool:
    """Whether an attempt's name is one of this job."""
    return attempt_id.startswith(f"attempt_{job_id.removeprefix('job_')}_")


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
