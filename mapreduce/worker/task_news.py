"""What a task process says, or its end shows, as events of the worker's agent. Nothing of it is
believed: a task runs a user's code."""

from __future__ import annotations

from clusterkit.effects import Event
from mapreduce.failures import FailureReport
from mapreduce.model import MAX_RESULT_BYTES, Failure, TaskOutput
from mapreduce.wire.nouns import counters_of
from mapreduce.worker import task_messages as msg
from mapreduce.worker.core import events as ev

MAX_FINGERPRINT = 200


def event_of(attempt_id: str, message: msg.FromTask) -> Event:
    if isinstance(message, msg.Progressed):
        return ev.TaskProgressed(
            attempt_id,
            message.fraction,
            message.phase,
            message.status,
            counters_of(message.counters),
        )
    if isinstance(message, msg.Made | msg.MayCommit) and len(message.result) > MAX_RESULT_BYTES:
        what = f"its result has {len(message.result)} bytes; {MAX_RESULT_BYTES} is the most"
        return ev.TaskFailed(attempt_id, Failure("bad_record", what))
    if isinstance(message, msg.Made):
        output = TaskOutput(
            segment_bytes=tuple(message.segment_bytes),
            segment_records=tuple(message.segment_records),
            codec=message.codec,
            fingerprint=message.fingerprint[:MAX_FINGERPRINT],
        )
        return ev.TaskFinished(attempt_id, output, counters_of(message.counters), message.result)
    if isinstance(message, msg.MayCommit):
        files = tuple(file.result() for file in message.files)
        return ev.CommitAsked(attempt_id, files, counters_of(message.counters), message.result)
    if isinstance(message, msg.FetchFailing):
        return ev.FetchesFailed(attempt_id, tuple(message.sources), message.reason)
    report = message.report
    return ev.TaskFailed(
        attempt_id, Failure(report.kind, report.message, report.to_json()), message.killed
    )


def not_started(attempt_id: str, reason: str, disk_command: str | None) -> ev.TaskNotStarted:
    """With a command that shows the disk, it is this machine's disk that failed."""
    if disk_command is None:
        return ev.TaskNotStarted(attempt_id, reason)
    report = FailureReport(kind="disk", message=reason, next_command=disk_command)
    return ev.TaskNotStarted(attempt_id, reason, Failure("disk", reason, report.to_json()))
