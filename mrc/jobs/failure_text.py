"""How a failed job is told to the person who ran it: their own traceback, then the record, then (by
`mrc.main`) the error and what to try.

Our frames are cut; `-v` keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterkit.errors import EXIT_FAILED, ClusterError


class JobFailed(ClusterError):
    """The job, not the command, went wrong."""

    code, exit_code = "JOB_FAILED", EXIT_FAILED


def failure_text(report: Mapping[str, Any], *, verbose: bool = False) -> str:
    """What comes before `error:`, from a FailureReport's fields; "" when there is nothing to
    show."""
    lines = []
    traceback = (report.get("engine_traceback") if verbose else "") or report.get("traceback") or ""
    if traceback:
        lines.append(traceback.rstrip("\n"))
    if report.get("path"):
        offset = report.get("offset", -1)
        where = (
            report["path"] if offset is None or offset < 0 else f"{report['path']} offset {offset}"
        )
        record = report.get("record") or ""
        lines.append(f"record: {where} {record}".rstrip())
    elif report.get("record"):
        lines.append(f"record: {report['record']}")  # a reduce has a key, and no path
    return "\n".join(lines)


def task_of(status: Mapping[str, Any]) -> str:
    """`map/3` of a job's failed attempt; "" when it names none."""
    from mapreduce.model import AttemptId

    attempt = AttemptId.parse(str((status.get("failure") or {}).get("attempt_id") or ""))
    if attempt is None:
        return ""
    names = {stage["id"]: stage["name"] for stage in status.get("stages", ())}
    return f"{names[attempt.stage]}/{attempt.index}" if attempt.stage in names else str(attempt)


def job_failure(status: Mapping[str, Any]) -> JobFailed:
    """The error of a job that ended FAILED or KILLED."""
    report = status.get("failure") or {}
    task = task_of(status)
    next_command = f"mrc job logs {status['id']}" + (f" --task {task}" if task else "")
    verb = "was killed" if status["state"] == "KILLED" else "failed"
    cause = status.get("error") or "no cause was given"
    if report.get("next_command"):  # it looks at the machine where the task ran
        next_command = report["next_command"]
        cause += f" (worker {report['worker_id']})" if report.get("worker_id") else ""
    return JobFailed(
        f"{status['id']} ({status['name']}) {verb}: {cause}", next_command=next_command
    )
