"""A job's status as users and scripts read it: the object of `mrc job status -o json`. Names and
shapes are the user contract's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from mapreduce.jobtracker.core.model import Counters
from mapreduce.jobtracker.core.orders import JobStatus, StageStatus


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
        "maps": _stage(status.maps),
        "reduces": _stage(status.reduces),
        "counters": grouped(status.counters),
        "output": output_uri(status.output),
        "error": status.error or None,
        "failure": msgspec.Raw(status.failure_json) if status.failure_json else None,
    }


def _stage(stage: StageStatus) -> dict[str, Any]:
    return {
        "total": stage.total,
        "done": stage.done,
        "running": stage.running,
        "failed_attempts": stage.failed_attempts,
        "killed_attempts": stage.killed_attempts,
        "fraction": stage.fraction,
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
