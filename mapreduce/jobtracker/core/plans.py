"""Whether a plan makes sense, and how an open job's plan grows: more stages, none any more, old
ones forgotten.

A driver that is started again says its extensions again, in their order: a known one gets its first
answer, so a job's plan is the same however often its driver dies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.events import Accepted, ClosePlan, ExtendPlan, Refusal, RetireStages
from mapreduce.jobtracker.core.live import LiveJob, LiveState
from mapreduce.jobtracker.core.outputs import remake
from mapreduce.jobtracker.core.publishing import publish_what_is_complete
from mapreduce.model import ALL, FETCHED, PART, RESULT, SAME, SPLITS, Edge, JobOutput, Stage

KINDS = (PART, ALL, SAME, RESULT, SPLITS)


def problem(known: Sequence[Stage], stages: Sequence[Stage], outputs: Sequence[JobOutput]) -> str:
    """Why these stages cannot follow the known ones, "" when they can. Ids are positions, edges
    point back, and every declared output has one stage that writes it."""
    every = [*known, *stages]
    for position, stage in enumerate(stages, len(known)):
        if stage.id != position:
            return f"stage {stage.id} stands where {position} is next"
        wrong = _stage_problem(stage) or _edges_problem(stage, every)
        if wrong:
            return f"stage {stage.id} ({stage.name}) {wrong}"
    numbers = [output.number for output in outputs]
    written = [number for stage in stages for number in stage.commits]
    if sorted(numbers) != sorted(written) or len(set(numbers)) != len(numbers):
        return f"outputs {numbers} are declared, {written} are written: each is once"
    if not all(output.path for output in outputs):
        return "an output has no path"
    if len({output.path for output in outputs}) != len(outputs):
        return "two outputs have one path"
    return ""


def _stage_problem(stage: Stage) -> str:
    if not stage.name or "/" in stage.name or stage.tasks < 0 or stage.partitions < 0:
        return "has no name, or nonsensical numbers"
    if stage.partitions and stage.commits:
        return "makes partitions and commits files: it is one or the other"
    if len(set(stage.commits)) != len(stage.commits):
        return "commits to one output twice"
    if stage.reads_splits != bool(stage.splits) and stage.tasks:
        return "reads splits and has none, or the other way round"
    if stage.splits and len(stage.splits) != stage.tasks:
        return f"has {stage.tasks} tasks and {len(stage.splits)} splits"
    return ""


def _edges_problem(stage: Stage, every: Sequence[Stage]) -> str:
    for edge in stage.inputs:
        if edge.kind not in KINDS:
            return f"has an edge of no known kind: {edge.kind[:40]!r}"
        if edge.kind == SPLITS:
            continue
        if not 0 <= edge.stage < stage.id:
            return f"reads stage {edge.stage}, which is not before it"
        wrong = _cut_problem(stage, edge, every[edge.stage])
        if wrong:
            return wrong
    return ""


def _cut_problem(stage: Stage, edge: Edge, source: Stage) -> str:
    if edge.kind in FETCHED and not source.partitions:
        return f"fetches from stage {source.id}, which makes no partitions"
    if edge.kind == PART and not 0 <= edge.first <= source.partitions - stage.tasks:
        last = edge.first + stage.tasks - 1
        return f"reads partitions {edge.first}…{last} of {source.partitions} of stage {source.id}"
    if edge.kind == SAME and source.tasks != stage.tasks:
        return f"has {stage.tasks} tasks, stage {source.id} behind its edge has {source.tasks}"
    return ""


def written_by(live: LiveState, path: str) -> str:
    """The unfinished job that makes this output, "" when none does."""
    for work in live.jobs.values():
        if any(made.output.path == path for made in work.job.outputs.values()):
            return work.job.job_id
    return ""


# ── open jobs ─────────────────────────────────────────────────────────────────────────────────────


def extend(live: LiveState, event: ExtendPlan) -> None:
    work = _open_job(live, event.reply_to, event.job_id)
    if work is None:
        return
    job = work.job
    if 0 <= event.seq <= job.extensions:
        live.send(event.reply_to, Accepted(job.job_id, event.seq))
        return
    known = [found.stage for found in job.stages]
    wrong = problem(known, event.stages, event.outputs)
    retired = {found.stage.id for found in job.stages if found.retired}
    read = {edge.stage for stage in event.stages for edge in stage.inputs if edge.kind != SPLITS}
    tasks = live.ledger.live_tasks() + sum(stage.tasks for stage in event.stages)
    if event.seq != job.extensions + 1:
        wrong = f"extension {event.seq} cannot follow extension {job.extensions}"
    elif job.closed:
        wrong = "it is closed: no stages can follow"
    elif read & retired:
        wrong = wrong or f"stage {min(read & retired)} is retired and cannot be read"
    if wrong:
        live.send(event.reply_to, Refusal("INVALID_ARGUMENT", f"{job.job_id}: {wrong}"))
        return
    writers = {written_by(live, output.path) for output in event.outputs} - {""}
    if writers:
        what = f"its output is being written by {min(writers)}"
        live.send(event.reply_to, Refusal("ALREADY_EXISTS", f"{job.job_id}: {what}"))
        return
    if tasks > live.options.max_live_tasks:
        most = f"{tasks} tasks would be under way; {live.options.max_live_tasks} is the most"
        live.send(event.reply_to, Refusal("TRY_AGAIN", f"{job.job_id}: {most}", "mrc jobs"))
        return
    live.commit(
        edits.PlanExtended(
            job_id=job.job_id, seq=event.seq, stages=event.stages, outputs=event.outputs
        )
    )
    work.learn_stages()
    remake(live, work, "a new stage reads it, and nobody holds it any more")
    publish_what_is_complete(live, work)
    live.send(event.reply_to, Accepted(job.job_id, event.seq))


def close(live: LiveState, event: ClosePlan) -> None:
    """Idempotent."""
    work = _open_job(live, event.reply_to, event.job_id)
    if work is None:
        return
    if not work.job.closed:
        live.commit(edits.PlanClosed(event.job_id))
        publish_what_is_complete(live, work)
    live.send(event.reply_to, Accepted(event.job_id, work.job.extensions))


def retire(live: LiveState, event: RetireStages) -> None:
    """Idempotent. Only up to a durable cut: what is not done, or may be read again by a task whose
    own output is lost, cannot be retired, nor an output that has not appeared."""
    work = _open_job(live, event.reply_to, event.job_id)
    if work is None:
        return
    job, up_to = work.job, event.up_to
    needed = [
        found.stage.id
        for found in job.stages[: up_to + 1]
        if not found.retired and not (found.is_done and _was_read(work, found.stage.id, up_to))
    ]
    unseen = [
        made.output.number
        for made in job.outputs.values()
        if made.output.published
        and not made.appeared
        and any(
            found.seq == made.seq and made.output.number in found.stage.commits
            for found in job.stages[: up_to + 1]
        )
    ]
    if needed or unseen or not 0 <= up_to < len(job.stages):
        what = (
            f"stage {needed[0]} is still needed" if needed else f"output {unseen} has not appeared"
        )
        if not 0 <= up_to < len(job.stages):
            what = f"it has no stage {up_to}"
        live.send(event.reply_to, Refusal("FAILED_PRECONDITION", f"{job.job_id}: {what}"))
        return
    if not job.stages[up_to].retired:
        live.commit(edits.StagesRetired(job_id=job.job_id, up_to=up_to))
        work.forget_stages(up_to)
    live.send(event.reply_to, Accepted(job.job_id, job.extensions))


def _was_read(work: LiveJob, stage: int, up_to: int) -> bool:
    """Whether nobody will read this stage again: its readers are done, and none of them can have to
    begin again, because what it made is durable, or goes as well."""
    for reader in work.job.stages:
        if any(e.stage == stage and e.kind != SPLITS for e in reader.stage.inputs):
            may_be_lost = reader.stage.partitions and reader.stage.id > up_to
            if not reader.is_done or (may_be_lost and not reader.retired):
                return False
    return True


def _open_job(live: LiveState, reply_to: Any, job_id: str) -> LiveJob | None:
    """An unfinished job; None when the caller has been told that there is none."""
    work = live.jobs.get(job_id)
    if work is None:
        known = live.ledger.jobs.get(job_id)
        message = (
            f"{job_id} is {known.state}" if known is not None else f"no job is called {job_id}"
        )
        code = "FAILED_PRECONDITION" if known is not None else "NOT_FOUND"
        live.send(reply_to, Refusal(code, message, "mrc jobs"))
    return work
