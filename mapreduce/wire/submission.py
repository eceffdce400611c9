"""A job's plan (mapreduce/model.py) on its way from a client to the tracker. What a client may ask
for at most is refused here; what makes no sense together, by the tracker's core."""

from __future__ import annotations

from clusterkit.errors import UsageError
from mapreduce.model import Edge, JobOutput, JobPlan, Limits, Stage, TaskSplit
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.wire import bounds
from mapreduce.wire.bounds import check_range

FEWER = "fewer or larger inputs, or a larger --split-bytes"


def submission_to_pb(plan: JobPlan, token: str) -> pb.SubmitRequest:
    return pb.SubmitRequest(
        token=token,
        user=plan.user,
        spec=plan.spec,
        plan=pb.JobPlan(
            name=plan.name,
            stages=[_stage_to_pb(stage) for stage in plan.stages],
            outputs=[
                pb.JobOutput(
                    number=output.number,
                    path=output.path,
                    published=output.published,
                    replaced_file_id=output.replaced_file_id,
                    replaced_job_id=output.replaced_job_id,
                )
                for output in plan.outputs
            ],
            limits=pb.Limits(
                memory_limit_bytes=plan.limits.memory_limit_bytes,
                no_progress_limit_us=plan.limits.no_progress_limit_us,
            ),
            max_attempts=plan.max_attempts,
            code=plan.code,
            code_sha256=plan.code_sha256,
            open=plan.open,
        ),
    )


def _stage_to_pb(stage: Stage) -> pb.Stage:
    return pb.Stage(
        id=stage.id,
        name=stage.name,
        tasks=stage.tasks,
        inputs=[
            pb.Edge(tag=edge.tag, stage=edge.stage, kind=edge.kind, first=edge.first)
            for edge in stage.inputs
        ],
        partitions=stage.partitions,
        commits=stage.commits,
        splits=[
            pb.TaskSplit(tag=split.tag, source=split.source, hosts=split.hosts)
            for split in stage.splits
        ],
        driver=stage.driver,
        affinity=stage.affinity,
    )


def plan(request: pb.SubmitRequest) -> JobPlan:
    """Raises UsageError for more than the journal, a worker or this process should hold."""
    message = request.plan
    if not request.user:  # nobody's tasks would run as the tracker's own user, who may do anything
        raise UsageError("a job belongs to a user; this one names none")
    _check_sizes(request)
    _check_numbers(message)
    return JobPlan(
        name=message.name,
        user=request.user,
        stages=tuple(_stage(stage) for stage in message.stages),
        outputs=tuple(
            JobOutput(
                number=output.number,
                path=output.path,
                published=output.published,
                replaced_file_id=output.replaced_file_id,
                replaced_job_id=output.replaced_job_id,
            )
            for output in message.outputs
        ),
        spec=request.spec,
        limits=Limits(message.limits.memory_limit_bytes, message.limits.no_progress_limit_us),
        max_attempts=message.max_attempts,
        code=message.code,
        code_sha256=message.code_sha256,
        open=message.open,
    )


def _check_sizes(request: pb.SubmitRequest) -> None:
    message = request.plan
    most_of = [
        ("token", len(request.token), bounds.MAX_WORDS),
        ("user", len(request.user), bounds.MAX_WORDS),
        ("name", len(message.name), bounds.MAX_WORDS),
        ("code", len(message.code) + len(message.code_sha256), bounds.MAX_PATH),
        ("description", len(request.spec), bounds.MAX_SPEC_BYTES),
    ]
    most_of += [("output", len(output.path), bounds.MAX_PATH) for output in message.outputs]
    for what, size, most in most_of:
        if size > most:
            raise UsageError(f"the job's {what} has a length of {size}; {most} is the most")


def _check_numbers(message: pb.JobPlan) -> None:
    """Before a tuple is made of any."""
    check_range("number of stages", len(message.stages), 1, bounds.MAX_STAGES)
    check_range("number of outputs", len(message.outputs), 0, bounds.MAX_OUTPUTS)
    check_range("max_attempts", message.max_attempts, 1, bounds.MAX_ATTEMPTS)
    for output in message.outputs:
        check_range("number of an output", output.number, 0, bounds.MAX_NUMBER)
    edges = sum(len(stage.inputs) + len(stage.commits) for stage in message.stages)
    check_range("number of edges", edges, 0, bounds.MAX_EDGES)
    tasks = max(max(stage.tasks, len(stage.splits)) for stage in message.stages)
    if tasks > bounds.MAX_TASKS:
        raise UsageError(
            f"the job has {tasks} tasks in a stage; {bounds.MAX_TASKS} is the most",
            next_command=FEWER,
        )
    every = sum(stage.tasks for stage in message.stages)
    check_range("number of tasks", every, 0, bounds.MAX_JOB_TASKS)
    splits = [split for stage in message.stages for split in stage.splits]
    size = sum(stage.ByteSize() for stage in message.stages)
    if size > bounds.MAX_SPLITS_BYTES:
        raise UsageError(
            f"the job's stages have {size} bytes; {bounds.MAX_SPLITS_BYTES} is the most",
            next_command=FEWER,
        )
    hosts = sum(len(split.hosts) for split in splits)
    check_range("number of hosts of splits", hosts, 0, bounds.MAX_HOSTS)
    for stage in message.stages:
        check_range("number of partitions", stage.partitions, 0, bounds.MAX_PARTITIONS)
        check_range("length of a stage's name", len(stage.name), 1, bounds.MAX_NAME)
        check_range("length of an affinity", len(stage.affinity), 0, bounds.MAX_NAME)


def _stage(message: pb.Stage) -> Stage:
    return Stage(
        id=message.id,
        name=message.name,
        tasks=message.tasks,
        inputs=tuple(
            Edge(tag=edge.tag, stage=edge.stage, kind=edge.kind, first=edge.first)
            for edge in message.inputs
        ),
        partitions=message.partitions,
        commits=tuple(message.commits),
        splits=tuple(
            TaskSplit(split.tag, split.source, tuple(split.hosts)) for split in message.splits
        ),
        driver=message.driver,
        affinity=message.affinity,
    )
