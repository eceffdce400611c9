"""What every runner does, so that the same job file runs anywhere: inline, on this machine's cores,
on a cluster. Runners are siblings.

One contract suite (tests/contract/test_runner.py) runs on all of them: the same input, splits and
reducers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mapreduce.plan.describe import JobClassFacts

Status = dict[str, Any]
"""A job's status as the user contract gives it (`mrc job status -o json`), with `failure`: a
FailureReport's fields or None."""

FINISHED = frozenset({"SUCCEEDED", "FAILED", "KILLED"})


@dataclass(frozen=True, slots=True)
class Submission:
    """What one job was asked to be. Paths are absolute ones of the runner's storages."""

    inputs: Sequence[str]
    output: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    overwrite: bool = False
    recursive: bool = False


class Runner(Protocol):
    def submit(self, facts: JobClassFacts, submission: Submission) -> str:
        """The job's id. Raises UsageError, InputRefused, OutputExists; a refused job has no id and
        has touched nothing."""
        ...

    def status(self, job_id: str) -> Status: ...

    def watch(self, job_id: str, interval_s: float) -> Iterator[Status]:
        """The status now and after changes, at most every `interval_s`; the last one is of the
        finished job. The local runners work while this is read."""
        ...

    def kill(self, job_id: str, reason: str) -> Status: ...
