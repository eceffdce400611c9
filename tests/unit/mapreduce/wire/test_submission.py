"""A plan arrives as it was made, and what a submission may hold at most is refused in words before
it costs time or memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from clusterkit.errors import UsageError
from mapreduce.jobtracker.rpc_clients import ClientCalls
from mapreduce.model import Edge, JobOutput, JobPlan, Limits, Stage, TaskSplit
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.plan.spec import JobSpec, Split
from mapreduce.plan.stages import job_plan
from mapreduce.wire import bounds
from mapreduce.wire.submission import plan, submission_to_pb
from tests.unit.mapreduce.jobtracker.fakes import SPEC


def submission(splits: int = 1, **changes: object) -> pb.SubmitRequest:
    made = [Split(path="/in", offset=i, length=1) for i in range(splits)]
    spec = msgspec.structs.replace(SPEC, splits=made, **changes)
    return submission_to_pb(job_plan(spec, "ann"), "t")


def test_a_plan_arrives_as_it_was_made() -> None:
    made = JobPlan(
        name="n",
        user="ann",
        stages=(
            Stage(
                id=0,
                name="read",
                tasks=1,
                inputs=(Edge(1, 0, "splits"),),
                partitions=3,
                splits=(TaskSplit(1, b"\0opaque", ("h1", "h2")),),
                affinity="gpu",
            ),
            Stage(id=1, name="watch", tasks=1, inputs=(Edge(2, 0, "part", 2),), driver=True),
            Stage(id=2, name="write", tasks=1, inputs=(Edge(0, 0, "part", 2),), commits=(4, 5)),
        ),
        outputs=(
            JobOutput(4, "/a", replaced_file_id=(1 << 64) - 1, replaced_job_id="job_1"),
            JobOutput(5, "/b", published=False),
        ),
        spec=b"\xff",
        limits=Limits(7, 8),
        max_attempts=9,
        code="/code.zip",
        code_sha256="abc",
        open=True,
    )
    message = submission_to_pb(made, "t")
    assert plan(pb.SubmitRequest.FromString(message.SerializeToString())) == made


def test_a_classic_job_is_two_stages_and_the_spec_goes_without_its_splits() -> None:
    made = plan(submission(2))
    assert [(stage.name, stage.tasks) for stage in made.stages] == [("map", 2), ("reduce", 2)]
    assert JobSpec.from_json(made.spec).splits == []
    assert [split.source for split in made.stages[0].splits] == [
        msgspec.json.encode(Split("/in", index, 1)) for index in range(2)
    ]
    (only,) = plan(submission(1, reducers=0)).stages
    assert (only.name, only.partitions, only.commits, only.letter) == ("map", 0, (0,), "m")


def test_a_stage_may_have_as_many_tasks_as_splits_are_doubled_to() -> None:
    assert plan(submission(bounds.MAX_TASKS)).stages[0].tasks == bounds.MAX_TASKS
    with pytest.raises(UsageError, match="has 10001 tasks in a stage; 10000 is the most") as told:
        plan(submission(bounds.MAX_TASKS + 1))
    assert "--split-bytes" in str(told.value.next_command)


def test_the_spec_of_a_job_is_not_decoded_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is for the tasks: decoding costs time and memory by the number of values."""

    def decode(_text: bytes) -> JobSpec:
        raise AssertionError("it was decoded")

    request = submission()
    request.spec = b"{" * 100_000
    monkeypatch.setattr(JobSpec, "from_json", decode)
    assert plan(request).spec == request.spec


def changed(**plan_fields: Any) -> pb.SubmitRequest:
    request = submission()
    for name, value in plan_fields.items():
        if isinstance(value, list):
            del getattr(request.plan, name)[:]
            getattr(request.plan, name).extend(value)
        else:
            setattr(request.plan, name, value)
    return request


def requested(**fields: Any) -> pb.SubmitRequest:
    request = submission()
    for name, value in fields.items():
        setattr(request, name, value)
    return request


STAGE = pb.Stage(name="map", tasks=1)


@pytest.mark.parametrize(
    ("request_", "cause"),
    [
        (submission(name="n" * 1_001), "name has a length of 1001"),
        (submission(output="/" + "o" * 8_000), "output has a length of 8001"),
        (submission(parameters={"big": "x" * (1 << 20)}), "description has a length of"),
        (requested(token="t" * 1_001), "token has a length of 1001"),
        (requested(user="u" * 1_001), "user has a length of 1001"),
        (requested(user=""), "belongs to a user"),
        (changed(code="c" * 8_001), "code has a length of"),
        (changed(max_attempts=0), "max_attempts = 0 is not within"),
        (changed(max_attempts=101), "max_attempts = 101 is not within"),
        (changed(stages=[]), "number of stages = 0 is not within"),
        (changed(stages=[STAGE] * 201), "number of stages = 201 is not within"),
        (changed(outputs=[pb.JobOutput()] * 101), "number of outputs = 101 is not within"),
        (changed(stages=[pb.Stage(name="m", tasks=10_000)] * 6), "number of tasks = 60000"),
        (changed(outputs=[pb.JobOutput(number=65_536)]), "number of an output = 65536"),
        (
            changed(stages=[pb.Stage(name="m", inputs=[pb.Edge()] * 1_001)]),
            "number of edges = 1001 is not within",
        ),
        (
            changed(stages=[pb.Stage(name="m", commits=[1] * 1_001)]),
            "number of edges = 1001 is not within",
        ),
        (changed(stages=[pb.Stage(name="m", tasks=1 << 31)]), "is the most"),
        (changed(stages=[pb.Stage(name="m", partitions=10_001)]), "number of partitions = 10001"),
        (changed(stages=[pb.Stage(name="")]), "length of a stage's name = 0"),
        (changed(stages=[pb.Stage(name="m" * 201)]), "length of a stage's name = 201"),
        (changed(stages=[pb.Stage(name="m", affinity="a" * 201)]), "length of an affinity = 201"),
        (
            changed(
                stages=[pb.Stage(name="m", tasks=1, splits=[pb.TaskSplit(source=b"x" * (9 << 20))])]
            ),
            "stages have 9437",
        ),
        (
            changed(stages=[pb.Stage(name="m", splits=[pb.TaskSplit(hosts=[""] * 160_001)])]),
            "number of hosts of splits = 160001",
        ),
    ],
)
def test_every_part_has_a_most(request_: pb.SubmitRequest, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        plan(request_)


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
