"""Jobs as text on standard output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any


def job_table(jobs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One line a job, under a heading."""
    yield f"{'ID':18} {'STATE':9} {'MAPS':>11} {'REDUCES':>11} {'TIME':>8}  NAME"
    for job in jobs:
        maps, reduces = (
            f"{job[stage]['done']}/{job[stage]['total']}" for stage in ("maps", "reduces")
        )
        yield (
            f"{job['id']:18} {job['state']:9} {maps:>11} {reduces:>11} {duration(job):>8}  "
            f"{job['name']}"
        )


def job_text(job: Mapping[str, Any]) -> Iterator[str]:
    yield f"{job['id']} {job['name']} {job['state']}"
    yield f"submitted  {job['submitted_at']}"
    if job["finished_at"]:
        yield f"finished   {job['finished_at']} ({duration(job)})"
    for stage in ("maps", "reduces"):
        facts = job[stage]
        shown = f"{facts['done']}/{facts['total']} done, {facts['running']} running"
        if facts["failed_attempts"] or facts["killed_attempts"]:
            shown += (
                f"; attempts: {facts['failed_attempts']} failed, {facts['killed_attempts']} killed"
            )
        yield f"{stage:10} {shown}"
    yield f"output     {job['output']}"
    if job["error"]:
        yield f"error      {job['error']}"
    if (job.get("failure") or {}).get("next_command"):
        yield f"try        {job['failure']['next_command']}"


def counters_text(counters: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """group TAB name TAB value."""
    for group in sorted(counters, key=lambda group: (group != "job", group)):
        for name, value in counters[group].items():
            yield f"{group}\t{name}\t{value}"


def duration(job: Mapping[str, Any]) -> str:
    if not job["finished_at"]:
        return "-"
    seconds = (
        datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["submitted_at"])
    ).total_seconds()
    return f"{seconds:.1f}s" if seconds < 600 else f"{seconds / 60:.0f}m"
