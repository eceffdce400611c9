"""What worker and tracker say to each other arrives as it was said, fits into a message, and is
counted before it is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from clusterkit.errors import UsageError
from clusterkit.rpc import MAX_MESSAGE_BYTES
from mapreduce import exchange as ex
from mapreduce.api.counters import MAX_NAMES, Counters
from mapreduce.failures import FailureReport
from mapreduce.model import MAX_RESULT_BYTES, Failure, FileResult, Limits, TaskOutput, changed
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.wire import exchange as wire
from mapreduce.wire.nouns import counters_of

OUTPUT = TaskOutput((10, 20), (1, 2), codec=3, fingerprint="f")
COUNTED = (("G", "n", -7), ("job", "map_input_records", 1 << 62))
PLACE = ex.OutputLocation(
    stage=2,
    task=3,
    attempt_id="a",
    host="h",
    shuffle_port=4,
    bytes=5,
    worker_id="w",
    lost=True,
    codec=6,
)
LAUNCH = ex.Launch(
    attempt_id="a",
    job_id="j",
    stage=3,
    index=4,
    spec=b"\xffspec",
    limits=Limits(5, 6),
    user="ann",
    split=b"\0split",
    split_tag=7,
    partitions=8,
    targets=(ex.Target(9, "/out", "part-r-00004"),),
    inputs=(ex.Input(edge=1, tag=2, stage=1, kind="part", first=3, tasks=4, partitions=5),),
    known=(PLACE,),
    results=(ex.TaskResult(1, 2, b"\0three"),),
    driver=True,
    extensions=10,
    affinity="gpu",
)
ORDERS = [
    LAUNCH,
    ex.TellResults("a", (ex.TaskResult(1, 2, b"\0"), ex.TaskResult(3, 4, b""))),
    ex.TellOutputs("j", (PLACE, PLACE._replace(lost=False))),
    ex.KillAttempt("a", "why"),
    ex.ForgetJob("j"),
    ex.Ping(),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_an_order_arrives_as_it_was_given(order: ex.Order) -> None:
    message = wire.order_to_pb(order, 12)
    again = pb.WorkerOrder.FromString(message.SerializeToString())
    assert (again.epoch, wire.order(again)) == (12, order)


def test_a_launch_has_no_field_that_the_test_leaves_at_its_default() -> None:
    """Else a field that the table forgets would pass unseen."""
    for record in (LAUNCH, PLACE, LAUNCH.inputs[0]):
        names = (
            [field.name for field in dataclasses.fields(record)]
            if dataclasses.is_dataclass(record)
            else list(record._fields)
        )
        assert all(getattr(record, name) for name in names), record


def test_a_report_arrives_as_it_was_made_but_for_the_counters_of_progress() -> None:
    told = FailureReport(kind="raised", message="no", attempt_id="a", worker_id="w1")
    news = (
        ex.Progressed("a", 0.5, "map", "busy"),
        ex.TaskDone("a", OUTPUT, COUNTED, b"\0result"),
        ex.AttemptFailed("a", Failure("raised", "no", told.to_json()), killed=True),
        ex.FetchFailed("a", ("b", "c"), "missing: it"),
    )
    report = ex.Report(7, news, no_room="full")
    message = wire.report_to_pb(report, "w1", "i")
    assert (message.worker_id, message.incarnation) == ("w1", "i")
    assert wire.report(pb.WorkerReport.FromString(message.SerializeToString())) == report


def test_a_hello_arrives_as_it_was_said_with_the_sums_of_what_is_held() -> None:
    held = (
        ex.HeldAttempt("a", ex.SUCCEEDED, OUTPUT, COUNTED, b"r"),
        ex.HeldAttempt("b", ex.RUNNING),
    )
    hello = ex.Hello("w", "i", "h", 1, 2, 3, 4, held, "full")
    sums = OUTPUT._replace(segment_bytes=(30,), segment_records=(3,))
    wanted = dataclasses.replace(
        hello, inventory=(dataclasses.replace(held[0], output=sums), held[1])
    )
    assert wire.hello(wire.hello_to_pb(hello)) == wanted


def test_a_commit_and_its_answer_arrive_as_they_were_said() -> None:
    file = FileResult(path="/p", file_id=1, length=2, crc32c=3, output=4, records=5)
    ask = ex.AskCommit("a", (file, changed(file, output=6)), COUNTED, b"r")
    assert wire.commit(wire.commit_to_pb(ask, "w")) == ask
    answer = ex.CommitAnswer(granted=False, winner="b", reason="late")
    assert wire.answer(wire.answer_to_pb(answer, 3)) == answer


# ── what is said fits ─────────────────────────────────────────────────────────────────────────────


def test_counters_are_kept_within_what_can_be_sent() -> None:
    many = counters_of(
        {"G" * 1_000: {f"{index:05d}" + "n" * 2_000: 1 << 70 for index in range(9_000)}}
    )
    report = ex.Report(
        1, tuple(ex.Progressed(f"a{slot}", 0.5, "map", "", many) for slot in range(32))
    )
    assert 50 < len(many) < 9_000
    assert len(wire.report_to_pb(report, "w1", "1").SerializeToString()) < MAX_MESSAGE_BYTES
    assert counters_of({"G": {"n": 1 << 70}}) == (("G", "n", (1 << 63) - 1),)


def test_an_inventory_of_thousands_of_outputs_can_be_sent() -> None:
    output = TaskOutput(tuple([70_000] * 1_000), tuple([900] * 1_000))
    items = tuple(
        ex.HeldAttempt(f"attempt_20261122_0001_s0_{index:06d}_0", ex.SUCCEEDED, output)
        for index in range(3_500)
    )
    hello = wire.hello_to_pb(ex.Hello("w1", "1", "h", 1, 2, 3, 0, items))
    assert len(hello.SerializeToString()) < MAX_MESSAGE_BYTES // 8
    assert sum(hello.inventory[0].output.segment_bytes) == 70_000_000


def test_the_most_that_a_task_may_count_is_kept_whole_with_the_engines_own() -> None:
    counters = Counters()
    for index in range(MAX_NAMES):
        counters.counter("A group", f"{index:044}").inc((1 << 63) - 1)
    counters.own("map_input_records").inc(12_000)
    kept = counters_of(counters.totals())
    assert len(kept) == MAX_NAMES + 1
    assert ("job", "map_input_records", 12_000) in kept
    flood = {"A": {f"{index:044}": 1 for index in range(50_000)}, "job": {"map_input_records": 1}}
    assert ("job", "map_input_records", 1) in counters_of(flood)


# ── what is heard is bounded ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "said",
    [
        {"worker_id": ""},
        {"worker_id": "w" * 201},
        {"worker_id": "w\x1b[2J"},
        {"incarnation": ""},
        {"host": "h" * 201},
        {"rpc_port": 65_536},
        {"shuffle_port": 1 << 31},
        {"slots": 10_001},
        {"inventory": [pb.AttemptInventory()] * 100_001},
    ],
    ids=lambda said: next(iter(said)),
)
def test_a_hello_of_no_worker_is_refused(said: dict[str, object]) -> None:
    fields: dict[str, object] = {
        "worker_id": "w1",
        "incarnation": "1",
        "host": "h1",
        "rpc_port": 1,
        "shuffle_port": 2,
        "slots": 3,
    }
    assert isinstance(wire.hello(pb.WorkerHello(**fields)), ex.Hello)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        wire.hello(pb.WorkerHello(**(fields | said)))  # type: ignore[arg-type]


COUNTERS = pb.Counters(counters=[pb.Counter()] * 10_001)
LONG_NAMES = pb.Counters(counters=[pb.Counter(name="n" * (1 << 20))])
WIDE = pb.TaskOutput(segment_bytes=[1] * 10_001)
BIG = b"r" * (MAX_RESULT_BYTES + 1)


def reported(**what: object) -> pb.WorkerReport:
    return pb.WorkerReport(attempts=[pb.AttemptReport(**what)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_", "cause"),
    [
        (pb.WorkerReport(attempts=[pb.AttemptReport()] * 10_001), "attempts in a report"),
        (reported(done=pb.TaskDone(output=WIDE)), "partitions of an output"),
        (reported(done=pb.TaskDone(counters=COUNTERS)), "number of counters"),
        (reported(done=pb.TaskDone(counters=LONG_NAMES)), "bytes of counters"),
        (reported(done=pb.TaskDone(result=BIG)), "bytes of a result"),
        (
            reported(done=pb.TaskDone(output=pb.TaskOutput(segment_records=[1] * 2_000_001))),
            "number of partitions and counters",
        ),
        (reported(failed=pb.Failed(failure_json=b"x" * (5 << 20))), "bytes of a failure report"),
        (reported(fetch_failed=pb.FetchFailed(sources=[""] * 10_001)), "outputs in a report"),
        (pb.CommitRequest(files=[pb.FileResult(path="p" * 8_001)]), "length of the path"),
        (pb.CommitRequest(files=[pb.FileResult()] * 101), "files of an attempt"),
        (pb.CommitRequest(counters=COUNTERS), "number of counters"),
        (pb.CommitRequest(result=BIG), "bytes of a result"),
        (
            pb.WorkerHello(
                worker_id="w",
                incarnation="i",
                host="h",
                slots=1,
                inventory=[pb.AttemptInventory(attempt_id="a", output=WIDE)],
            ),
            "partitions of an output",
        ),
    ],
)
def test_what_a_worker_tells_is_counted_before_it_is_kept(request_: Any, cause: str) -> None:
    takes: dict[type, Callable[[Any], Any]] = {
        pb.WorkerReport: wire.report,
        pb.CommitRequest: wire.commit,
        pb.WorkerHello: wire.hello,
    }
    with pytest.raises(UsageError, match=f"{cause} = [0-9]+ is not within"):
        takes[type(request_)](request_)


def test_what_is_only_shown_of_a_worker_is_cut() -> None:
    (news,) = wire.report(
        reported(progress=pb.Progress(phase="p" * 9_000, status="s" * 9_000))
    ).news
    assert isinstance(news, ex.Progressed)
    assert (len(news.phase), len(news.status)) == (1_000, 1_000)
