"""A planned job as the stages that a cluster runs. The spec goes with them as bytes: who schedules,
starts and watches tasks never reads it."""

from __future__ import annotations

import msgspec

from mapreduce.model import PART, SPLITS, Edge, JobOutput, JobPlan, Limits, Stage, TaskSplit
from mapreduce.plan.spec import JobSpec

MAP_STAGE, REDUCE_STAGE = 0, 1
STAGE_NAMES = ("map", "reduce")
OUTPUT = 0


def classic_stages(spec: JobSpec) -> tuple[Stage, ...]:
    """Map and reduce, or a map whose tasks commit where there are no reducers."""
    has_reducers = spec.reducers > 0
    maps = Stage(
        id=MAP_STAGE,
        name=STAGE_NAMES[MAP_STAGE],
        tasks=len(spec.splits),
        inputs=(Edge(tag=0, stage=MAP_STAGE, kind=SPLITS),),
        partitions=spec.reducers,
        commits=() if has_reducers else (OUTPUT,),
        splits=tuple(
            TaskSplit(tag=0, source=msgspec.json.encode(split), hosts=tuple(split.hosts))
            for split in spec.splits
        ),
    )
    reduces = Stage(
        id=REDUCE_STAGE,
        name=STAGE_NAMES[REDUCE_STAGE],
        tasks=spec.reducers,
        inputs=(Edge(tag=0, stage=MAP_STAGE, kind=PART),),
        commits=(OUTPUT,),
    )
    return (maps, reduces) if has_reducers else (maps,)


def job_plan(spec: JobSpec, user: str) -> JobPlan:
    """What is submitted of a classic job."""
    return JobPlan(
        name=spec.name,
        user=user,
        stages=classic_stages(spec),
        outputs=(
            JobOutput(
                number=OUTPUT,
                path=spec.output,
                replaced_file_id=spec.replaced_inode_id if spec.overwrite else 0,
                replaced_job_id=spec.replaced_job_id,
            ),
        ),
        spec=msgspec.structs.replace(spec, splits=[]).to_json(),
        limits=Limits(
            memory_limit_bytes=spec.memory_limit_bytes,
            no_progress_limit_us=int(spec.no_progress_limit_s * 1e6),
        ),
        max_attempts=spec.max_attempts,
        code=spec.code.archive,
        code_sha256=spec.code.sha256,
    )
