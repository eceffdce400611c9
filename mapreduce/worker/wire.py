"""Between the worker's core and protobuf, both ways. Nothing is decided here; what does not make
sense raises CorruptRecord."""

from __future__ import annotations

import msgspec

from clusterkit.errors import CorruptRecord
from mapreduce.api.counters import JOB_GROUP, MAX_NAMES, MAX_NAMES_BYTES
from mapreduce.failures import FailureReport
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.worker.core import commands as cmd
from mapreduce.worker.core import events as ev

MAX_TEXT = 64_000
MAX_COUNTERS = MAX_NAMES + 1_000
MAX_COUNTER_NAME_BYTES = MAX_NAMES_BYTES + (64 << 10)
"""What a task may count, and room of their own for the engine's counters."""
_INT64 = (1 << 63) - 1


class TaskWork(msgspec.Struct, frozen=True):
    """`Launch.work`: what only the task process reads."""

    maps: int
    spec: msgspec.Raw
    split: msgspec.Raw


class _Limits(msgspec.Struct, frozen=True):
    """The two fields of a JobSpec that concern the worker itself."""

    no_progress_limit_s: float = 600.0
    memory_limit_bytes: int = 2 << 30


# ── from the tracker ──────────────────────────────────────────────────────────────────────────────


def order_from_pb(order: pb.WorkerOrder) -> ev.Order:
    """Raises CorruptRecord."""
    kind = order.WhichOneof("order")
    if kind == "launch":
        return _launch(order.launch)
    if kind == "kill":
        return ev.KillAttempt(order.kill.attempt_id, order.kill.reason)
    if kind == "forget":
        return ev.ForgetJob(order.forget.job_id)
    if kind == "map_outputs":
        return ev.MapOutputsNews(
            order.map_outputs.job_id, tuple(_location(one) for one in order.map_outputs.locations)
        )
    return ev.Ping()


def _launch(launch: pb.Launch) -> ev.Launch:
    if launch.kind not in ("map", "reduce"):
        raise CorruptRecord(
            f"{launch.attempt_id} is neither a map nor a reduce but {launch.kind!r}"
        )
    try:
        limits = msgspec.json.decode(launch.spec_json, type=_Limits)
        work = TaskWork(
            launch.maps, msgspec.Raw(launch.spec_json), msgspec.Raw(launch.split_json or b"null")
        )
        return ev.Launch(
            launch.attempt_id,
            launch.job_id,
            launch.kind,
            launch.index,
            limits.memory_limit_bytes,
            int(limits.no_progress_limit_s * 1e6),
            tuple(_location(one) for one in launch.known),
            msgspec.json.encode(work),
        )
    except (msgspec.DecodeError, OverflowError) as error:
        raise CorruptRecord(f"the spec of {launch.attempt_id} does not decode: {error}") from error


def _location(one: pb.MapLocation) -> ev.MapLocation:
    return ev.MapLocation(
        one.map_index,
        one.attempt_id,
        one.host,
        one.shuffle_port,
        one.bytes,
        one.worker_id,
        one.lost,
    )


# ── to the tracker ────────────────────────────────────────────────────────────────────────────────


def hello_to_pb(attend: cmd.Attend, identity: pb.WorkerHello) -> pb.WorkerHello:
    hello = pb.WorkerHello()
    hello.CopyFrom(identity)
    hello.highest_epoch, hello.no_room = attend.highest_epoch, attend.no_room
    for item in attend.inventory:
        row = hello.inventory.add(
            attempt_id=item.attempt_id, state=item.state, counters=_counters(item.counters)
        )
        if item.output is not None:
            # Sums: a worker may hold thousands of outputs of a thousand segments each, more than a
            # message may have bytes.
            sizes, records = sum(item.output.segment_bytes), sum(item.output.segment_records)
            row.output.CopyFrom(pb.MapOutput(segment_bytes=[sizes], segment_records=[records]))
    return hello


def report_to_pb(report: cmd.Report, worker_id: str, incarnation: str) -> pb.WorkerReport:
    return pb.WorkerReport(
        worker_id=worker_id,
        incarnation=incarnation,
        sequence=report.sequence,
        attempts=[_report_item(item, worker_id) for item in report.items],
        no_room=report.no_room,
    )


def _report_item(item: cmd.ReportItem, worker_id: str) -> pb.AttemptReport:
    row = pb.AttemptReport(attempt_id=item.attempt_id)
    if isinstance(item, cmd.ProgressReport):
        progress = pb.Progress(
            fraction=item.fraction,
            phase=item.phase,
            status=item.status,
            counters=_counters(item.counters),
        )
        row.progress.CopyFrom(progress)
    elif isinstance(item, cmd.MapSucceededReport):
        row.map_succeeded.CopyFrom(
            pb.MapSucceeded(output=_output(item.output), counters=_counters(item.counters))
        )
    elif isinstance(item, cmd.FailedReport):
        row.failed.CopyFrom(
            pb.Failed(
                failure_json=failure_json(item.failure, item.attempt_id, worker_id),
                killed=item.killed,
            )
        )
    else:
        row.fetch_failed.CopyFrom(
            pb.FetchFailed(map_attempt_ids=item.map_attempt_ids, reason=item.reason)
        )
    return row


def commit_to_pb(ask: cmd.AskCommit, worker_id: str) -> pb.CommitRequest:
    file = pb.FileResult(
        path=ask.file.path, file_id=ask.file.file_id, length=ask.file.length, crc32c=ask.file.crc32c
    )
    return pb.CommitRequest(
        attempt_id=ask.attempt_id, file=file, counters=_counters(ask.counters), worker_id=worker_id
    )


def failure_json(failure: ev.Failure, attempt_id: str, worker_id: str) -> bytes:
    """The FailureReport: the task's own where it made one, with what only the worker knows."""
    report = FailureReport(kind=failure.kind, message=failure.message)
    if failure.document:
        report = FailureReport.from_json(failure.document)
    cut = {
        name: _cut(getattr(report, name))
        for name in ("message", "traceback", "engine_traceback", "path", "record")
    }
    return msgspec.structs.replace(
        report, attempt_id=attempt_id, worker_id=worker_id, **cut
    ).to_json()


def not_started(attempt_id: str, reason: str, disk_command: str | None) -> ev.TaskNotStarted:
    """With a command that shows the disk, it is this machine's disk that failed."""
    if disk_command is None:
        return ev.TaskNotStarted(attempt_id, reason)
    report = FailureReport(kind="disk", message=reason, next_command=disk_command)
    return ev.TaskNotStarted(attempt_id, reason, ev.Failure("disk", reason, report.to_json()))


def _cut(text: str) -> str:
    """A recursion's traceback can be large; its beginning and its end tell the story."""
    if len(text) <= MAX_TEXT:
        return text
    return (
        f"{text[: MAX_TEXT // 2]}\n[… {len(text) - MAX_TEXT} characters left out "
        f"…]\n{text[-MAX_TEXT // 2 :]}"
    )


def counters_of(totals: dict[str, dict[str, int]]) -> ev.Counters:
    """Sorted, and within what the wire can carry. A task counts within these bounds
    (api/counters.py); what only says that it is one is cut here, the engine's own counters last: a
    report too large to be sent would be tried for ever, and the worker taken for dead."""
    rows = [
        (group, name, max(-_INT64, min(value, _INT64)))
        for group, names in totals.items()
        for name, value in names.items()
    ]
    rows.sort(key=lambda row: (row[0] != JOB_GROUP, row))
    left, kept = MAX_COUNTER_NAME_BYTES, []
    for group, name, value in rows[:MAX_COUNTERS]:
        left -= len(group.encode()) + len(name.encode())
        if left < 0:
            break
        kept.append((group, name, value))
    return tuple(sorted(kept))


def _counters(counters: ev.Counters) -> pb.Counters:
    return pb.Counters(
        counters=[
            pb.Counter(group=group, name=name, value=value) for group, name, value in counters
        ]
    )


def _output(output: ev.MapOutput) -> pb.MapOutput:
    return pb.MapOutput(segment_bytes=output.segment_bytes, segment_records=output.segment_records)
