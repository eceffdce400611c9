"""What a submission or a hello may hold: more is refused in words, before it costs time or
memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from clusterkit.errors import UsageError
from mapreduce.jobtracker import wire
from mapreduce.jobtracker.core import events
from mapreduce.jobtracker.rpc_clients import ClientCalls
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.plan.spec import JobSpec, Split
from tests.unit.mapreduce.jobtracker.fakes import SPEC


def submission(splits: int = 1, **changes: object) -> pb.SubmitRequest:
    made = [Split(path="/in", offset=i, length=1) for i in range(splits)]
    return pb.SubmitRequest(
        token="t",
        user="ann",
        spec_json=msgspec.structs.replace(SPEC, splits=made, **changes).to_json(),
    )


def test_a_job_may_have_as_many_maps_as_splits_are_doubled_to() -> None:
    assert len(wire.plan(submission(wire.MAX_MAPS)).maps) == wire.MAX_MAPS
    with pytest.raises(UsageError, match="has 10001 maps; 10000 is the most") as refused:
        wire.plan(submission(wire.MAX_MAPS + 1))
    assert "--split-bytes" in str(refused.value.next_command)


@pytest.mark.parametrize(
    "text",
    [
        b'{"splits":[' + b",".join([b'{"path":"/","offset":0,"length":1}'] * 449_389) + b"]}",
        b'{"splits":[' + b",".join([b"{}"] * 100_000) + b"]}",
        b'{"inputs":[' + b",".join([b'""'] * 1_000_000) + b"]}",
        b"{" * 100_000,
        b" " * (wire.MAX_SPEC_BYTES + 1),
    ],
    ids=["splits", "empty splits", "inputs", "depth", "nothing"],
)
def test_what_would_be_dear_to_decode_is_not_decoded(
    text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(_text: bytes) -> JobSpec:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(JobSpec, "from_json", decode)
    with pytest.raises(UsageError, match="is the most"):
        wire.plan(pb.SubmitRequest(token="t", user="ann", spec_json=text))


@pytest.mark.parametrize(
    ("request_", "cause"),
    [
        (submission(name="n" * 1_001), "name has a length of 1001"),
        (submission(output="/" + "o" * 8_000), "output has a length of 8001"),
        (submission(parameters={"big": "x" * (1 << 20)}), "description has a length of"),
        (pb.SubmitRequest(token="t" * 1_001, spec_json=SPEC.to_json()), "token or user has 1001"),
        (
            pb.SubmitRequest(token="t", user="u" * 1_001, spec_json=SPEC.to_json()),
            "token or user has 1001",
        ),
    ],
    ids=["name", "output", "parameters", "token", "user"],
)
def test_every_part_has_a_most(request_: pb.SubmitRequest, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        wire.plan(request_)


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
    assert isinstance(wire.hello(pb.WorkerHello(**fields), None), events.WorkerAttended)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        wire.hello(pb.WorkerHello(**(fields | said)), None)  # type: ignore[arg-type]


COUNTERS = pb.Counters(counters=[pb.Counter()] * 10_001)
LONG_NAMES = pb.Counters(counters=[pb.Counter(name="n" * (1 << 20))])
OUTPUT = pb.MapOutput(segment_bytes=[1] * 10_001)


def reported(**what: object) -> pb.WorkerReport:
    return pb.WorkerReport(attempts=[pb.AttemptReport(**what)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_", "cause"),
    [
        (pb.WorkerReport(attempts=[pb.AttemptReport()] * 10_001), "attempts in a report"),
        (reported(map_succeeded=pb.MapSucceeded(output=OUTPUT)), "partitions of a map output"),
        (reported(map_succeeded=pb.MapSucceeded(counters=COUNTERS)), "number of counters"),
        (reported(map_succeeded=pb.MapSucceeded(counters=LONG_NAMES)), "bytes of counters"),
        (
            reported(
                map_succeeded=pb.MapSucceeded(output=pb.MapOutput(segment_records=[1] * 2_000_001))
            ),
            "number of partitions and counters",
        ),
        (reported(failed=pb.Failed(failure_json=b"x" * (5 << 20))), "bytes of a failure report"),
        (
            reported(fetch_failed=pb.FetchFailed(map_attempt_ids=[""] * 10_001)),
            "map outputs in a report",
        ),
        (pb.CommitRequest(file=pb.FileResult(path="p" * 8_001)), "length of the path"),
        (pb.CommitRequest(counters=COUNTERS), "number of counters"),
        (
            pb.WorkerHello(
                worker_id="w",
                incarnation="i",
                host="h",
                slots=1,
                inventory=[pb.AttemptInventory(attempt_id="a", output=OUTPUT)],
            ),
            "partitions of a map output",
        ),
    ],
)
def test_what_a_worker_tells_is_counted_before_it_is_kept(request_: Any, cause: str) -> None:
    take = {
        pb.WorkerReport: wire.report,
        pb.CommitRequest: wire.commit,
        pb.WorkerHello: wire.hello,
    }[type(request_)]
    with pytest.raises(UsageError, match=f"{cause} = [0-9]+ is not within"):
        take(request_, None)


def test_what_is_only_shown_of_a_worker_is_cut() -> None:
    (news,) = wire.report(
        reported(progress=pb.Progress(phase="p" * 9_000, status="s" * 9_000)), None
    ).news
    assert isinstance(news, events.AttemptProgressed)
    assert (len(news.phase), len(news.status)) == (1_000, 1_000)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Job", pb.JobRequest(job_id="j" * 1_001)),
        ("Kill", pb.KillRequest(job_id="j" * 1_001)),
        ("Kill", pb.KillRequest(job_id="j", reason="r" * 1_001)),
        ("Logs", pb.LogsRequest(job_id="j", task="t" * 1_001)),
        ("Watch", pb.WatchRequest(job_id="j" * 1_001)),
    ],
)
def test_what_a_caller_names_or_gives_as_a_reason_is_bounded(method: str, request_: Any) -> None:
    def post(event: Any) -> None:
        raise AssertionError(f"{event} was posted")

    context = SimpleNamespace(add_callback=lambda _: None)
    with pytest.raises(UsageError, match=r"length of \w+ = 1001 is not within"):
        list(getattr(ClientCalls(post, str), method)(request_, context))
