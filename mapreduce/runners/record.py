"""A job as the local runners keep it: what is done, what it counted, how it ended; told in the user
contract's shape."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import msgspec

from mapreduce.api.counters import JOB_GROUP, Totals, add_totals
from mapreduce.errors import JobNotFound
from mapreduce.failures import FailureReport
from mapreduce.model import AttemptId
from mapreduce.plan.spec import JobSpec
from mapreduce.plan.stages import MAP_STAGE, REDUCE_STAGE, STAGE_NAMES
from mapreduce.runners.api import FINISHED, Status

STAGES = {"m": MAP_STAGE, "r": REDUCE_STAGE}


class JobRecord:
    def __init__(self, job_id: str, spec: JobSpec, output_uri: str) -> None:
        self.job_id, self.spec, self.output_uri = job_id, spec, output_uri
        self.state = "RUNNING"
        self.failure: FailureReport | None = None
        self.counters: Totals = {JOB_GROUP: {"lost_map_outputs": 0}}
        self.fractions: dict[str, float] = {}  # of running attempts
        self._totals = {"m": len(spec.splits), "r": spec.reducers}
        self._done, self._failed, self._killed = ({"m": 0, "r": 0} for _ in range(3))
        self._submitted_s, self._finished_s = time.time(), 0.0

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    def attempt_id(self, kind: str, index: int) -> str:
        return str(AttemptId(self.job_id, stage=STAGES[kind], index=index, number=0))

    def task_done(self, attempt_id: str, counters: Totals) -> None:
        self.fractions.pop(attempt_id, None)
        self._done[_kind(attempt_id)] += 1
        add_totals(self.counters, counters)

    def task_failed(self, attempt_id: str, failure: FailureReport) -> None:
        self.fractions.pop(attempt_id, None)
        self._failed[_kind(attempt_id)] += 1
        self.fail(msgspec.structs.replace(failure, attempt_id=attempt_id))

    def fail(self, failure: FailureReport) -> None:
        self.state, self.failure, self._finished_s = "FAILED", failure, time.time()

    def task_killed(self, attempt_id: str) -> None:
        self.fractions.pop(attempt_id, None)
        self._killed[_kind(attempt_id)] += 1

    def killed(self, reason: str) -> None:
        if not self.is_finished:
            self.fail(FailureReport(kind="killed", message=reason))
            self.state = "KILLED"

    def succeeded(self) -> None:
        self.state, self._finished_s = "SUCCEEDED", time.time()

    def status(self) -> Status:
        return {
            "id": self.job_id,
            "name": self.spec.name,
            "state": self.state,
            "submitted_at": _rfc3339(self._submitted_s),
            "finished_at": _rfc3339(self._finished_s) if self._finished_s else None,
            "maps": self._stage("m"),
            "reduces": self._stage("r"),
            "stages": [
                {"id": stage, "name": STAGE_NAMES[stage]} | self._stage(letter)
                for letter, stage in STAGES.items()
                if stage == MAP_STAGE or self.spec.reducers
            ],
            "counters": self.counters,
            "output": self.output_uri,
            "error": self.failure.message if self.failure else None,
            "failure": msgspec.to_builtins(self.failure)
            if self.failure and self.state == "FAILED"
            else None,
        }

    def _stage(self, kind: str) -> dict[str, float]:
        running = [
            fraction for attempt_id, fraction in self.fractions.items() if _kind(attempt_id) == kind
        ]
        total = self._totals[kind]
        return {
            "total": total,
            "done": self._done[kind],
            "running": len(running),
            "failed_attempts": self._failed[kind],
            "killed_attempts": self._killed[kind],
            "fraction": (self._done[kind] + sum(running)) / total if total else 1.0,
        }


def new_job_id() -> str:
    """job_DATE_NUMBER, as on a cluster; the number is the time of day and this process."""
    return datetime.now(UTC).strftime("job_%Y%m%d_%H%M%S%f") + str(os.getpid())


def the_job(record: JobRecord | None, job_id: str) -> JobRecord:
    if record is None or job_id not in (record.job_id, "@"):
        raise JobNotFound(f"this runner knows no job {job_id}")
    return record


def _kind(attempt_id: str) -> str:
    attempt = AttemptId.parse(attempt_id)
    assert attempt is not None, f"{attempt_id} is no attempt's name"
    return "m" if attempt.stage == MAP_STAGE else "r"


def _rfc3339(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
