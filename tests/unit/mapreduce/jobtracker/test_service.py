"""The tracker over real gRPC with a journal on disk: submit, watch, restart, step down."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clusterkit.errors import Fenced, Overloaded, UsageError
from clusterkit.homes import NotTheHome
from clusterkit.rpc import make_channel
from clusterkit.rpc.lanes import Lane
from mapreduce.errors import JobNotFound, JobRefused, OutputExists
from mapreduce.failures import FailureReport
from mapreduce.jobtracker import service
from mapreduce.jobtracker.rpc_workers import StreamsByHost
from mapreduce.jobtracker.service import TrackerOptions, TrackerService
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.pb import tracker_pb2_grpc as pb_grpc
from mapreduce.plan.spec import JobSpec
from tests.unit.mapreduce.jobtracker.fakes import SPEC, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.stop()


def test_a_job_from_submission_to_its_output(house: House) -> None:
    house.worker()
    status = house.finished(house.submit())
    assert (status["state"], status["name"], status["output"], status["error"]) == (
        "SUCCEEDED",
        "wc",
        "memory:///a/out",
        None,
    )
    assert status["maps"] == {
        "total": 2,
        "done": 2,
        "running": 0,
        "failed_attempts": 0,
        "killed_attempts": 0,
        "fraction": 1.0,
    }
    assert isinstance(status["stages"], list)
    assert [(one["id"], one["name"], one["done"]) for one in status["stages"]] == [
        (0, "map", 2),
        (1, "reduce", 2),
    ]
    counters = status["counters"]
    assert (
        isinstance(counters, dict)
        and counters["job"]["map_input_records"] == 6
        and counters["job"]["lost_map_outputs"] == 0
    )
    assert str(status["submitted_at"]).endswith("Z") and str(status["submitted_at"]) <= str(
        status["finished_at"]
    )
    assert [info.path for info in house.storage.list("/a/out")][-1] == "/a/out/part-r-00001"


def test_what_cannot_be_answered_comes_back_as_the_error_it_is(house: House) -> None:
    with pytest.raises(JobNotFound, match="no job has been submitted yet"):
        house.stub.Job(pb.JobRequest(job_id="@"))
    with pytest.raises(UsageError):
        house.stub.Submit(pb.SubmitRequest(token="x", spec=b"{}"))
    for numbers in ({"reducers": 10_001}, {"max_attempts": 101}, {"max_attempts": 0}):
        with pytest.raises(UsageError, match=r"is not within|is the most"):
            house.submit(msgspec.structs.replace(SPEC, **numbers))
    first = house.submit()
    with pytest.raises(OutputExists, match=first):
        house.submit(token="other")
    assert house.submit() == first


def test_a_failed_job_says_why(house: House) -> None:
    worker = house.worker(slots=1)
    worker.mute = True
    job_id = house.submit(
        JobSpec(
            name="f",
            code=SPEC.code,
            inputs=["/in"],
            output="/b",
            splits=SPEC.splits[:1],
            max_attempts=1,
        )
    )
    failure = FailureReport(
        kind="raised",
        message="ValueError: n/a",
        traceback='File "wc.py", line 4',
        path="/in",
        offset=3,
        record="n/a",
    )
    attempt = f"attempt_{job_id[4:]}_s0_000000_0"
    worker.report(
        pb.AttemptReport(attempt_id=attempt, failed=pb.Failed(failure_json=failure.to_json()))
    )
    status = house.finished(job_id)
    assert (status["state"], status["error"]) == ("FAILED", "map/0 failed: ValueError: n/a")
    assert status["failure"] == json.loads(failure.to_json())
    logs = house.stub.Logs(pb.LogsRequest(job_id=job_id, task="map/0")).logs
    assert [(log.attempt_id, log.worker_address, log.state) for log in logs] == [
        (attempt, "127.0.0.1:1", "FAILED")
    ]


def test_a_killed_tracker_goes_on_where_it_was(house: House) -> None:
    house.worker(slots=1).mute = True
    job_id = house.submit()
    port = house.service.ports["rpc"]
    house.channel.close()
    house.service.stop()
    house.start()
    assert house.service.ports["rpc"] == port and house.service.epoch == 2
    assert house.submit() == job_id
    assert [json.loads(job)["id"] for job in house.stub.List(pb.ListRequest()).status_json] == [
        job_id
    ]
    killed = json.loads(house.stub.Kill(pb.KillRequest(job_id=job_id, reason="enough")).status_json)
    assert (killed["state"], killed["error"]) == ("KILLED", "enough")


def test_a_second_tracker_is_refused_with_the_reason(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its journal would be another one: all jobs would be gone after a take-over."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(
        NotTheHome, match=r"the list of jobs was last led from .* \(t1, epoch 1\)"
    ) as refused:
        TrackerService(
            TrackerOptions("t2", elsewhere), house.coordinator, lambda _user: house.storage
        ).start()
    assert refused.value.next_command == f"mrc tracker adopt {elsewhere} --accept-lost-jobs"
    assert house.submit()


def test_a_copy_of_the_trackers_directory_is_refused(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(house.directory, copy)
    with pytest.raises(NotTheHome, match="this is a copy"):
        TrackerService(
            TrackerOptions("t1", copy), house.coordinator, lambda _user: house.storage
        ).start()


def test_a_tracker_that_lost_its_leadership_ends(house: House) -> None:
    house.coordinator.on_lost()
    with pytest.raises(Fenced, match="leadership is over"):
        house.service.wait()


def test_a_worker_that_has_seen_a_newer_tracker_ends_this_one(house: House) -> None:
    house.coordinator.epoch = 7  # it was elected, and we have not heard of it yet
    channel = make_channel(house.service.address)
    stub = pb_grpc.TrackerForWorkersStub(channel)  # type: ignore[no-untyped-call]
    list(
        stub.Attend(
            pb.WorkerHello(worker_id="w9", incarnation="1", slots=1, highest_epoch=7), timeout=10
        )
    )
    with pytest.raises(Fenced, match="epoch 7"):
        house.service.wait()
    channel.close()


def test_a_worker_that_claims_an_epoch_of_nobody_ends_nothing(house: House) -> None:
    """Its disk may say so for ever: it is told what to do, and everybody else is served."""
    channel = make_channel(house.service.address)
    stub = pb_grpc.TrackerForWorkersStub(channel)  # type: ignore[no-untyped-call]
    with pytest.raises(
        JobRefused,
        match="w9 says that it served epoch 4611686018427387904, but no tracker of that epoch "
        "was ever elected",
    ) as told:
        list(
            stub.Attend(
                pb.WorkerHello(worker_id="w9", incarnation="1", slots=1, highest_epoch=1 << 62),
                timeout=10,
            )
        )
    assert "epochs.json" in str(told.value.next_command)
    channel.close()
    house.worker()
    assert house.finished(house.submit())["state"] == "SUCCEEDED"


def test_made_up_workers_keep_nobody_from_being_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds a thread for as long as it attends: those are not the threads of clients, nor of
    reports."""
    monkeypatch.setitem(service.LANES, "Attend", Lane(4, 0))
    house = House(tmp_path)
    channel = make_channel(house.service.address)
    stub = pb_grpc.TrackerForWorkersStub(channel)  # type: ignore[no-untyped-call]
    made_up = [
        stub.Attend(
            pb.WorkerHello(worker_id=f"z{n}", incarnation="x", host="h", slots=0), timeout=60
        )
        for n in range(3)
    ]
    for orders in made_up:
        next(orders)
    house.worker()  # the last that can attend
    with pytest.raises(Overloaded, match="4 calls of Attend are under way, which is the most"):
        next(
            stub.Attend(
                pb.WorkerHello(worker_id="z9", incarnation="x", host="h", slots=0), timeout=60
            )
        )
    assert house.finished(house.submit())["state"] == "SUCCEEDED"
    channel.close()
    house.stop()


def test_one_host_does_not_attend_for_all() -> None:
    streams = StreamsByHost(2)
    with (
        streams.one_more("10.0.0.1"),
        streams.one_more("10.0.0.1"),
        streams.one_more("10.0.0.2"),
        pytest.raises(Overloaded, match=r"2 workers attend from 10\.0\.0\.1 already"),
        streams.one_more("10.0.0.1"),
    ):
        pass
    with streams.one_more("10.0.0.1"):
        assert set(streams._open) == {"10.0.0.1"}
