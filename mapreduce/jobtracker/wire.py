"""Between the tracker's protocol messages and its core's nouns. Both directions are here; nothing
decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from clusterkit.errors import ClusterError, TryAgain, UsageError
from mapreduce.errors import JobNotFound, JobRefused, OutputExists
from mapreduce.jobtracker.core import events, orders
from mapreduce.jobtracker.core.model import Counters, Failure, FileResult, JobPlan, MapInput
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.plan.spec import MAX_MAPS, FailureReport, JobSpec

# ── what comes in ─────────────────────────────────────────────────────────────────────────────────


MAX_REDUCES, MAX_ATTEMPTS, MAX_FILE_ID = 10_000, 100, (1 << 64) - 1
MAX_SPEC_BYTES, MAX_REST, MAX_OBJECTS, MAX_VALUES = 8 << 20, 1 << 20, 4 * MAX_MAPS, 40 * MAX_MAPS
MAX_WORDS, MAX_PATH = 1_000, 8_000
MAX_NAME, MAX_SLOTS, MAX_INVENTORY = 200, 10_000, 100_000
MAX_COUNTERS = 10_000  # of one attempt; its worker keeps to fewer
MAX_NEWS, MAX_NUMBERS = (
    10_000,
    2_000_000,
)  # of one report or hello: attempts; counters and partitions of all of them together
MAX_FAILURE = 4 << 20
FEWER = "fewer or larger inputs, or a larger --split-bytes"


def plan(request: pb.SubmitRequest) -> JobPlan:
    """Raises UsageError for a spec that does not decode, or that is more than the journal, a worker
    or this process should hold."""
    _check_size(request)
    spec = JobSpec.from_json(request.spec_json)
    if len(spec.splits) > MAX_MAPS:
        raise UsageError(
            f"the job has {len(spec.splits)} maps; {MAX_MAPS} is the most", next_command=FEWER
        )
    if not request.user:  # nobody's tasks would run as the tracker's own user, who may do anything
        raise UsageError("a job belongs to a user; this one names none")
    _check_range("reducers", spec.reducers, 0, MAX_REDUCES)
    _check_range("max_attempts", spec.max_attempts, 1, MAX_ATTEMPTS)
    _check_range("replaced_inode_id", spec.replaced_inode_id, 0, MAX_FILE_ID)
    maps = tuple(MapInput(msgspec.json.encode(split), tuple(split.hosts)) for split in spec.splits)
    rest = msgspec.structs.replace(spec, splits=[], user=request.user).to_json()
    for what, size, most in (
        ("name", len(spec.name), MAX_WORDS),
        ("output", len(spec.output), MAX_PATH),
        ("description", len(rest), MAX_REST),
    ):
        if size > most:
            raise UsageError(f"the job's {what} has a length of {size}; {most} is the most")
    return JobPlan(
        spec.name,
        request.user,
        spec.output,
        maps,
        spec.reducers,
        rest,
        spec.max_attempts,
        spec.replaced_inode_id if spec.overwrite else 0,
        spec.code.archive,
    )


def _check_size(request: pb.SubmitRequest) -> None:
    """Before anything is made of the bytes: decoding costs time and memory by the number of values,
    and others wait meanwhile."""
    text, words = request.spec_json, max(len(request.token), len(request.user))
    if words > MAX_WORDS:
        raise UsageError(
            f"the submission's token or user has {words} characters; {MAX_WORDS} is the most"
        )
    if len(text) > MAX_SPEC_BYTES:
        raise UsageError(
            f"the job's description has {len(text)} bytes; {MAX_SPEC_BYTES} is the most",
            next_command=FEWER,
        )
    for mark, most in ((b"{", MAX_OBJECTS), (b",", MAX_VALUES)):
        if (count := text.count(mark)) > most:
            raise UsageError(
                f"the job's description has {count} parts; {most} is the most ({MAX_MAPS} maps)",
                next_command=FEWER,
            )


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise UsageError(f"{name} = {value} is not within {least}…{most}")


def check_words(**words: str) -> None:
    """What a caller names or says in a call: it is looked for, told again and written down."""
    for what, said in words.items():
        _check_range(f"length of {what}", len(said), 0, MAX_WORDS)


def counters(message: pb.Counters) -> Counters:
    _check_range("number of counters", len(message.counters), 0, MAX_COUNTERS)
    _check_range("bytes of counters", message.ByteSize(), 0, MAX_REST)
    return tuple(sorted((c.group, c.name, c.value) for c in message.counters))


def _check_hello(message: pb.WorkerHello) -> None:
    for what, name in (
        ("worker_id", message.worker_id),
        ("incarnation", message.incarnation),
        ("host", message.host),
    ):
        if not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise UsageError(f"{what} {name[:40]!r} is not 1 to {MAX_NAME} printable characters")
    _check_range("rpc_port", message.rpc_port, 0, 65_535)
    _check_range("shuffle_port", message.shuffle_port, 0, 65_535)
    _check_range("slots", message.slots, 0, MAX_SLOTS)
    _check_range("attempts in the inventory", len(message.inventory), 0, MAX_INVENTORY)
    _check_numbers((item.output, item.counters) for item in message.inventory)


def _check_numbers(made: Iterable[tuple[pb.MapOutput, pb.Counters]]) -> None:
    """Before a tuple is made of any: counting them costs nothing."""
    every = sum(
        len(output.segment_bytes) + len(output.segment_records) + len(totals.counters)
        for output, totals in made
    )
    _check_range("number of partitions and counters", every, 0, MAX_NUMBERS)


def hello(message: pb.WorkerHello, stream: Any) -> events.WorkerAttended:
    """Raises UsageError for what no worker is."""
    _check_hello(message)
    inventory = tuple(
        events.HeldAttempt(
            item.attempt_id,
            item.state,
            *_segments(item.output),
            counters(item.counters),
        )
        for item in message.inventory
    )
    return events.WorkerAttended(
        stream,
        message.worker_id,
        message.incarnation,
        message.host,
        message.rpc_port,
        message.shuffle_port,
        message.slots,
        message.highest_epoch,
        inventory,
        message.no_room[:MAX_WORDS],
    )


def report(message: pb.WorkerReport, reply_to: Any) -> events.WorkerReported:
    _check_range("attempts in a report", len(message.attempts), 0, MAX_NEWS)
    _check_numbers(
        (attempt.map_succeeded.output, attempt.map_succeeded.counters)
        for attempt in message.attempts
    )
    news = tuple(item for attempt in message.attempts if (item := _news(attempt)) is not None)
    return events.WorkerReported(
        reply_to,
        message.worker_id,
        message.incarnation,
        message.sequence,
        news,
        message.no_room[:MAX_WORDS],
    )


def _segments(output: pb.MapOutput) -> tuple[tuple[int, ...], tuple[int, ...]]:
    for segments in (output.segment_bytes, output.segment_records):
        _check_range("partitions of a map output", len(segments), 0, MAX_REDUCES)
    return tuple(output.segment_bytes), tuple(output.segment_records)


def _news(attempt: pb.AttemptReport) -> events.AttemptNews | None:
    """None for a kind of news that a newer worker may know."""
    match attempt.WhichOneof("what"):
        case "progress":
            told = attempt.progress
            return events.AttemptProgressed(
                attempt.attempt_id, told.fraction, told.phase[:MAX_WORDS], told.status[:MAX_WORDS]
            )
        case "map_succeeded":
            made = attempt.map_succeeded
            return events.MapSucceeded(
                attempt.attempt_id, *_segments(made.output), counters(made.counters)
            )
        case "failed":
            return events.AttemptFailed(
                attempt.attempt_id, _failure(attempt.failed.failure_json), attempt.failed.killed
            )
        case "fetch_failed":
            missed = attempt.fetch_failed
            _check_range("map outputs in a report", len(missed.map_attempt_ids), 0, MAX_MAPS)
            return events.FetchFailed(
                attempt.attempt_id, tuple(missed.map_attempt_ids), missed.reason[:MAX_WORDS]
            )
        case _:
            return None


def _failure(report_json: bytes) -> Failure:
    _check_range("bytes of a failure report", len(report_json), 0, MAX_FAILURE)
    try:
        told = FailureReport.from_json(report_json)
    except msgspec.DecodeError:
        return Failure("engine", "the worker's failure report does not decode")
    return Failure(told.kind, told.message, report_json)


def commit(message: pb.CommitRequest, reply_to: Any) -> events.CommitRequested:
    _check_range("length of the path", len(message.file.path), 0, MAX_PATH)
    file = FileResult(
        message.file.path, message.file.file_id, message.file.length, message.file.crc32c
    )
    return events.CommitRequested(
        reply_to, message.attempt_id, message.worker_id, file, counters(message.counters)
    )


# ── what goes out ─────────────────────────────────────────────────────────────────────────────────


def order(message: Any, epoch: int) -> pb.WorkerOrder:
    match message:
        case orders.Launch():
            launch = pb.Launch(
                attempt_id=message.attempt_id,
                job_id=message.job_id,
                kind=message.stage,
                index=message.index,
                spec_json=message.spec_json,
                split_json=message.split_json,
                maps=message.maps,
                known=[_location(where) for where in message.known],
            )
            return pb.WorkerOrder(epoch=epoch, launch=launch)
        case orders.TellMapOutputs():
            told = pb.MapOutputs(
                job_id=message.job_id, locations=[_location(where) for where in message.locations]
            )
            return pb.WorkerOrder(epoch=epoch, map_outputs=told)
        case orders.KillAttempt():
            return pb.WorkerOrder(
                epoch=epoch,
                kill=pb.KillAttempt(attempt_id=message.attempt_id, reason=message.reason),
            )
        case orders.ForgetJob():
            return pb.WorkerOrder(epoch=epoch, forget=pb.ForgetJob(job_id=message.job_id))
    raise TypeError(f"{type(message).__name__} is no order for a worker")


def _location(where: orders.MapLocation) -> pb.MapLocation:
    return pb.MapLocation(
        map_index=where.map_index,
        attempt_id=where.attempt_id,
        host=where.host,
        shuffle_port=where.shuffle_port,
        bytes=where.bytes,
        worker_id=where.worker_id,
        lost=where.lost,
    )


def error(refusal: orders.Refusal) -> ClusterError:
    kinds: dict[str, Callable[..., ClusterError]] = {
        "NOT_FOUND": JobNotFound,
        "ALREADY_EXISTS": OutputExists,
        "FAILED_PRECONDITION": JobRefused,
        "INVALID_ARGUMENT": UsageError,
        "TRY_AGAIN": TryAgain,
    }
    return kinds[refusal.code](refusal.message, next_command=refusal.next_command or None)
