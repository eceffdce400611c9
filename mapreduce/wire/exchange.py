"""Between what workers and the tracker tell each other (mapreduce/exchange.py) and protobuf, both
ways, each message in one place. Nothing is decided here; more than a peer may say raises
UsageError."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from clusterkit.errors import UsageError
from mapreduce import exchange as ex
from mapreduce.model import FRAMES, FileResult, Limits
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.wire import bounds, nouns
from mapreduce.wire.bounds import check_range

# ── hello ─────────────────────────────────────────────────────────────────────────────────────────


def hello_to_pb(hello: ex.Hello) -> pb.WorkerHello:
    message = pb.WorkerHello(
        worker_id=hello.worker_id,
        incarnation=hello.incarnation,
        host=hello.host,
        rpc_port=hello.rpc_port,
        shuffle_port=hello.shuffle_port,
        slots=hello.slots,
        highest_epoch=hello.highest_epoch,
        no_room=hello.no_room,
    )
    for held in hello.inventory:
        row = message.inventory.add(
            attempt_id=held.attempt_id,
            state=held.state,
            counters=nouns.counters_to_pb(held.counters),
            result=held.result,
        )
        if held.output is not None:
            # Sums: a worker may hold thousands of outputs of a thousand segments each, more than a
            # message may have bytes.
            sums = held.output._replace(
                segment_bytes=(sum(held.output.segment_bytes),),
                segment_records=(sum(held.output.segment_records),),
            )
            row.output.CopyFrom(nouns.output_to_pb(sums))
    return message


def hello(message: pb.WorkerHello) -> ex.Hello:
    """Raises UsageError for what no worker is."""
    for what, name in (
        ("worker_id", message.worker_id),
        ("incarnation", message.incarnation),
        ("host", message.host),
    ):
        if not 0 < len(name) <= bounds.MAX_NAME or not name.isprintable():
            raise UsageError(
                f"{what} {name[:40]!r} is not 1 to {bounds.MAX_NAME} printable characters"
            )
    check_range("rpc_port", message.rpc_port, 0, 65_535)
    check_range("shuffle_port", message.shuffle_port, 0, 65_535)
    check_range("slots", message.slots, 0, bounds.MAX_SLOTS)
    check_range("attempts in the inventory", len(message.inventory), 0, bounds.MAX_INVENTORY)
    _check_numbers((item.output, item.counters) for item in message.inventory)
    inventory = tuple(
        ex.HeldAttempt(
            attempt_id=item.attempt_id,
            state=item.state,
            output=nouns.output(item.output) if item.HasField("output") else None,
            counters=nouns.counters(item.counters),
            result=nouns.result(item),
        )
        for item in message.inventory
    )
    return ex.Hello(
        worker_id=message.worker_id,
        incarnation=message.incarnation,
        host=message.host,
        rpc_port=message.rpc_port,
        shuffle_port=message.shuffle_port,
        slots=message.slots,
        highest_epoch=message.highest_epoch,
        inventory=inventory,
        no_room=message.no_room[: bounds.MAX_WORDS],
    )


def _check_numbers(made: Iterable[tuple[pb.TaskOutput, pb.Counters]]) -> None:
    """Before a tuple is made of any: counting them costs nothing."""
    every = sum(
        len(output.segment_bytes) + len(output.segment_records) + len(totals.counters)
        for output, totals in made
    )
    check_range("number of partitions and counters", every, 0, bounds.MAX_NUMBERS)


# ── reports ───────────────────────────────────────────────────────────────────────────────────────


def report_to_pb(report: ex.Report, worker_id: str, incarnation: str) -> pb.WorkerReport:
    message = pb.WorkerReport(
        worker_id=worker_id,
        incarnation=incarnation,
        sequence=report.sequence,
        no_room=report.no_room,
    )
    for news in report.news:
        row = message.attempts.add(attempt_id=news.attempt_id)
        field, to_pb, _from_pb = _NEWS[type(news)]
        getattr(row, field).CopyFrom(to_pb(news, worker_id))
    return message


def report(message: pb.WorkerReport) -> ex.Report:
    """What one report tells; rows of kinds that this build does not know are passed over."""
    check_range("attempts in a report", len(message.attempts), 0, bounds.MAX_NEWS)
    _check_numbers((row.done.output, row.done.counters) for row in message.attempts)
    news = []
    for row in message.attempts:
        field = row.WhichOneof("what")
        if field is not None:
            news.append(_NEWS_FROM_PB[field](row.attempt_id, getattr(row, field)))
    return ex.Report(message.sequence, tuple(news), message.no_room[: bounds.MAX_WORDS])


def _progress_to_pb(news: ex.Progressed, _worker_id: str) -> pb.Progress:
    return pb.Progress(
        fraction=news.fraction,
        phase=news.phase,
        status=news.status,
        counters=nouns.counters_to_pb(news.counters),
    )


def _progress(attempt_id: str, message: pb.Progress) -> ex.Progressed:
    """Its counters are not kept: only those of a task's end count."""
    return ex.Progressed(
        attempt_id=attempt_id,
        fraction=message.fraction,
        phase=message.phase[: bounds.MAX_WORDS],
        status=message.status[: bounds.MAX_WORDS],
    )


def _done_to_pb(news: ex.TaskDone, _worker_id: str) -> pb.TaskDone:
    return pb.TaskDone(
        output=nouns.output_to_pb(news.output),
        counters=nouns.counters_to_pb(news.counters),
        result=news.result,
    )


def _done(attempt_id: str, message: pb.TaskDone) -> ex.TaskDone:
    return ex.TaskDone(
        attempt_id=attempt_id,
        output=nouns.output(message.output),
        counters=nouns.counters(message.counters),
        result=nouns.result(message),
    )


def _failed_to_pb(news: ex.AttemptFailed, worker_id: str) -> pb.Failed:
    told = nouns.failure_json(news.failure, news.attempt_id, worker_id)
    return pb.Failed(failure_json=told, killed=news.killed)


def _failed(attempt_id: str, message: pb.Failed) -> ex.AttemptFailed:
    return ex.AttemptFailed(attempt_id, nouns.failure(message.failure_json), message.killed)


def _unfetched_to_pb(news: ex.FetchFailed, _worker_id: str) -> pb.FetchFailed:
    return pb.FetchFailed(sources=news.sources, reason=news.reason)


def _unfetched(attempt_id: str, message: pb.FetchFailed) -> ex.FetchFailed:
    check_range("outputs in a report", len(message.sources), 0, bounds.MAX_TASKS)
    return ex.FetchFailed(attempt_id, tuple(message.sources), message.reason[: bounds.MAX_WORDS])


_NEWS: dict[type, tuple[str, Callable[[Any, str], Any], Callable[[str, Any], ex.News]]] = {
    ex.Progressed: ("progress", _progress_to_pb, _progress),
    ex.TaskDone: ("done", _done_to_pb, _done),
    ex.AttemptFailed: ("failed", _failed_to_pb, _failed),
    ex.FetchFailed: ("fetch_failed", _unfetched_to_pb, _unfetched),
}
"""What a report tells → (field of AttemptReport, onto the wire, off it)."""
_NEWS_FROM_PB = {field: from_pb for field, _to_pb, from_pb in _NEWS.values()}

# ── commits ───────────────────────────────────────────────────────────────────────────────────────


def commit_to_pb(ask: ex.AskCommit, worker_id: str) -> pb.CommitRequest:
    return pb.CommitRequest(
        attempt_id=ask.attempt_id,
        files=[
            pb.FileResult(
                path=file.path,
                file_id=file.file_id,
                length=file.length,
                crc32c=file.crc32c,
                output=file.output,
                records=file.records,
            )
            for file in ask.files
        ],
        counters=nouns.counters_to_pb(ask.counters),
        worker_id=worker_id,
        result=ask.result,
    )


def commit(message: pb.CommitRequest) -> ex.AskCommit:
    check_range("files of an attempt", len(message.files), 0, bounds.MAX_OUTPUTS)
    for file in message.files:
        check_range("length of the path", len(file.path), 0, bounds.MAX_PATH)
    files = tuple(
        FileResult(
            path=file.path,
            file_id=file.file_id,
            length=file.length,
            crc32c=file.crc32c,
            output=file.output,
            records=file.records,
        )
        for file in message.files
    )
    return ex.AskCommit(
        message.attempt_id, files, nouns.counters(message.counters), nouns.result(message)
    )


def answer_to_pb(answer: ex.CommitAnswer, epoch: int) -> pb.CommitReply:
    return pb.CommitReply(
        epoch=epoch, granted=answer.granted, winner=answer.winner, reason=answer.reason
    )


def answer(message: pb.CommitReply) -> ex.CommitAnswer:
    return ex.CommitAnswer(message.granted, message.winner, message.reason)


# ── orders ────────────────────────────────────────────────────────────────────────────────────────


def order_to_pb(order: ex.Order, epoch: int) -> pb.WorkerOrder:
    field, to_pb, _from_pb = _ORDERS[type(order)]
    message = pb.WorkerOrder(epoch=epoch)
    getattr(message, field).CopyFrom(to_pb(order))
    return message


def order(message: pb.WorkerOrder) -> ex.Order:
    """A kind of order that this build does not know counts as a ping."""
    field = message.WhichOneof("order")
    return _ORDERS_FROM_PB[field](getattr(message, field)) if field is not None else ex.Ping()


def _launch_to_pb(order: ex.Launch) -> pb.Launch:
    return pb.Launch(
        attempt_id=order.attempt_id,
        job_id=order.job_id,
        stage=order.stage,
        index=order.index,
        spec=order.spec,
        split=order.split,
        split_tag=order.split_tag,
        limits=pb.Limits(
            memory_limit_bytes=order.limits.memory_limit_bytes,
            no_progress_limit_us=order.limits.no_progress_limit_us,
        ),
        user=order.user,
        partitions=order.partitions,
        targets=[pb.Target(**target._asdict()) for target in order.targets],
        inputs=[pb.Input(**edge._asdict()) for edge in order.inputs],
        known=[pb.OutputLocation(**place._asdict()) for place in order.known],
        results=[pb.TaskResult(**result._asdict()) for result in order.results],
        driver=order.driver,
        extensions=order.extensions,
        affinity=order.affinity,
    )


def _launch(message: pb.Launch) -> ex.Launch:
    limits = message.limits
    return ex.Launch(
        attempt_id=message.attempt_id,
        job_id=message.job_id,
        stage=message.stage,
        index=message.index,
        spec=message.spec,
        limits=Limits(limits.memory_limit_bytes, limits.no_progress_limit_us),
        user=message.user,
        split=message.split,
        split_tag=message.split_tag,
        partitions=message.partitions,
        targets=tuple(ex.Target(one.output, one.path, one.name) for one in message.targets),
        inputs=tuple(
            ex.Input(
                edge=one.edge,
                tag=one.tag,
                stage=one.stage,
                kind=one.kind,
                first=one.first,
                tasks=one.tasks,
                partitions=one.partitions,
            )
            for one in message.inputs
        ),
        known=tuple(_location(one) for one in message.known),
        results=tuple(ex.TaskResult(one.stage, one.task, one.result) for one in message.results),
        driver=message.driver,
        extensions=message.extensions,
        affinity=message.affinity,
    )


def _location(message: pb.OutputLocation) -> ex.OutputLocation:
    return ex.OutputLocation(
        stage=message.stage,
        task=message.task,
        attempt_id=message.attempt_id,
        host=message.host,
        shuffle_port=message.shuffle_port,
        bytes=message.bytes,
        worker_id=message.worker_id,
        lost=message.lost,
        codec=message.codec or FRAMES,
    )


_ORDERS: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], ex.Order]]] = {
    ex.Launch: ("launch", _launch_to_pb, _launch),
    ex.TellResults: (
        "results",
        lambda order: pb.TellResults(
            attempt_id=order.attempt_id,
            results=[pb.TaskResult(**result._asdict()) for result in order.results],
        ),
        lambda message: ex.TellResults(
            message.attempt_id,
            tuple(ex.TaskResult(one.stage, one.task, one.result) for one in message.results),
        ),
    ),
    ex.TellOutputs: (
        "outputs",
        lambda order: pb.TellOutputs(
            job_id=order.job_id,
            locations=[pb.OutputLocation(**place._asdict()) for place in order.locations],
        ),
        lambda message: ex.TellOutputs(
            message.job_id, tuple(_location(one) for one in message.locations)
        ),
    ),
    ex.KillAttempt: (
        "kill",
        lambda order: pb.KillAttempt(attempt_id=order.attempt_id, reason=order.reason),
        lambda message: ex.KillAttempt(message.attempt_id, message.reason),
    ),
    ex.ForgetJob: (
        "forget",
        lambda order: pb.ForgetJob(job_id=order.job_id),
        lambda message: ex.ForgetJob(message.job_id),
    ),
    ex.Ping: ("ping", lambda _order: pb.Ping(), lambda _message: ex.Ping()),
}
"""An order → (field of WorkerOrder, onto the wire, off it)."""
_ORDERS_FROM_PB = {field: from_pb for field, _to_pb, from_pb in _ORDERS.values()}
