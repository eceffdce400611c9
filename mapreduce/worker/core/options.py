"""What an operator may turn of a worker. Durations in microseconds of the monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from mapreduce.worker.core.scratch_room import RESERVE_BYTES
from mapreduce.worker.core.tracker_session import SessionOptions


@dataclass(frozen=True, slots=True)
class AgentOptions:
    worker_id: str
    slots: int
    session: SessionOptions = field(default_factory=SessionOptions)
    linger_us: int = 3_000_000  # a process that has said its last word is killed after this
    commit_answer_us: int = 10_000_000
    commit_retry_us: int = 200_000
    processes_per_task: int = 256
    reserve_bytes: int = RESERVE_BYTES  # of the scratch disk: with less free, no slots are offered
