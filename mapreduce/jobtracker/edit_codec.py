"""The tracker's edits as journal bytes. Shell-side: cores know no encoding."""

from __future__ import annotations

from clusterkit.codec import Codec
from clusterkit.effects import Edit
from mapreduce.jobtracker.core import edits, model

CLASSES: tuple[type, ...] = (
    Edit,
    model.MapInput,
    model.JobPlan,
    model.FileResult,
    model.AttemptRow,
    edits.JobAccepted,
    edits.JobStarted,
    edits.MapMade,
    edits.MapOutputLost,
    edits.AttemptEnded,
    edits.CommitGranted,
    edits.JobFinished,
    edits.StagingCleared,
    edits.TaskImage,
    edits.StageImage,
    edits.JobImage,
    edits.Checkpoint,
)


def edit_codec() -> Codec:
    return Codec(CLASSES)
