"""A job's status as users and scripts read it: the object of `mrc job status -o json`. Names and
shapes are the user contract's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from mapreduce.jobtracker.core.events import JobStatus, StageStatus
from mapreduce.model import Counters


def status_json(status: JobStatus, output_uri: Callable[[str], str]) -> bytes:
    return msgspec.json.encode(status_object(status, output_uri))


def status_object(status: JobStatus, output_uri: Callable[[str], str]) -> dict[str, Any]:
    return {
        "id": status.id,
        "name": status.name,
        "user": status.user,
        "state": status.state,
        "submitted_at": rfc3339(status.submitted_us),
        "finished_at": rfc3339(status.finished_us) if status.finished_us else None,
        "maps": _sum(stage for stage in status.stages if stage.reads_splits),
        "reduces": _sum(stage for stage in status.stages if not stage.reads_splits),
        "stages": [{"id": stage.id, "name": stage.name} | _sum([stage]) for stage in status.stages],
        "counters": grouped(status.counters),
        "output": output_uri(status.output),
        "error": status.error or None,
        "failure": msgspec.Raw(status.failure_json) if status.failure_json else None,
    }


def _sum(stages: Iterable[StageStatus]) -> dict[str, Any]:
    """Of several stages as of one."""
    found = list(stages)
    total = sum(stage.total for stage in found)
    work = sum(stage.fraction * stage.total for stage in found)
    return {
        "total": total,
        "done": sum(stage.done for stage in found),
        "running": sum(stage.running for stage in found),
        "failed_attempts": sum(stage.failed_attempts for stage in found),
        "killed_attempts": sum(stage.killed_attempts for stage in found),
        "fraction": round(work / total, 4) if total else 1.0,
    }


def grouped(counters: Counters) -> dict[str, dict[str, int]]:
    groups: dict[str, dict[str, int]] = {}
    for group, name, value in counters:
        groups.setdefault(group, {})[name] = value
    return groups


def rfc3339(wall_us: int) -> str:
    return (
        datetime.fromtimestamp(wall_us / 1e6, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
