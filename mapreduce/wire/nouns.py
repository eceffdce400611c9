"""What many messages hold: counters, outputs, results, failures; onto the wire and off it, within
bounds. More than a peer may say raises UsageError."""

from __future__ import annotations

from typing import Any

import msgspec

from mapreduce.api.counters import JOB_GROUP, MAX_NAMES, MAX_NAMES_BYTES
from mapreduce.failures import FailureReport
from mapreduce.model import FRAMES, MAX_RESULT_BYTES, Counters, Failure, TaskOutput
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.wire import bounds
from mapreduce.wire.bounds import check_range

MAX_TEXT = 64_000
MAX_COUNTERS_SENT = MAX_NAMES + 1_000
MAX_COUNTER_NAME_BYTES = MAX_NAMES_BYTES + (64 << 10)
"""What a task may count, and room of their own for the engine's counters."""
_INT64 = (1 << 63) - 1


def counters_of(totals: dict[str, dict[str, int]]) -> Counters:
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
    for group, name, value in rows[:MAX_COUNTERS_SENT]:
        left -= len(group.encode()) + len(name.encode())
        if left < 0:
            break
        kept.append((group, name, value))
    return tuple(sorted(kept))


def counters_to_pb(rows: Counters) -> pb.Counters:
    return pb.Counters(
        counters=[pb.Counter(group=group, name=name, value=value) for group, name, value in rows]
    )


def counters(message: pb.Counters) -> Counters:
    check_range("number of counters", len(message.counters), 0, bounds.MAX_COUNTERS)
    check_range("bytes of counters", message.ByteSize(), 0, bounds.MAX_COUNTER_BYTES)
    return tuple(sorted((c.group, c.name, c.value) for c in message.counters))


def output_to_pb(made: TaskOutput) -> pb.TaskOutput:
    return pb.TaskOutput(
        segment_bytes=made.segment_bytes,
        segment_records=made.segment_records,
        codec=made.codec,
        fingerprint=made.fingerprint,
    )


def output(message: pb.TaskOutput) -> TaskOutput:
    for segments in (message.segment_bytes, message.segment_records):
        check_range("partitions of an output", len(segments), 0, bounds.MAX_PARTITIONS)
    check_range("length of a fingerprint", len(message.fingerprint), 0, bounds.MAX_WORDS)
    return TaskOutput(
        tuple(message.segment_bytes),
        tuple(message.segment_records),
        message.codec or FRAMES,
        message.fingerprint,
    )


def result(message: Any) -> bytes:
    check_range("bytes of a result", len(message.result), 0, MAX_RESULT_BYTES)
    return bytes(message.result)


def failure_json(failed: Failure, attempt_id: str, worker_id: str) -> bytes:
    """The FailureReport: the task's own where it made one, with what only the worker knows."""
    report = FailureReport(kind=failed.kind, message=failed.message)
    if failed.report:
        report = FailureReport.from_json(failed.report)
    cut = {
        name: _cut(getattr(report, name))
        for name in ("message", "traceback", "engine_traceback", "path", "record")
    }
    return msgspec.structs.replace(
        report, attempt_id=attempt_id, worker_id=worker_id, **cut
    ).to_json()


def _cut(text: str) -> str:
    """A recursion's traceback can be large; its beginning and its end tell the story."""
    if len(text) <= MAX_TEXT:
        return text
    return (
        f"{text[: MAX_TEXT // 2]}\n[… {len(text) - MAX_TEXT} characters left out "
        f"…]\n{text[-MAX_TEXT // 2 :]}"
    )


def failure(report_json: bytes) -> Failure:
    check_range("bytes of a failure report", len(report_json), 0, bounds.MAX_FAILURE_BYTES)
    try:
        told = FailureReport.from_json(report_json)
    except msgspec.DecodeError:
        return Failure("engine", "the worker's failure report does not decode")
    return Failure(told.kind, told.message, report_json)
