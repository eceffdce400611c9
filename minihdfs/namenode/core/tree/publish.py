"""A job's output appears: one rename, fenced by the epoch of the tracker that asks for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from minihdfs import paths
from minihdfs.errors import (
    FencedWriter,
    FileAlreadyExists,
    FileNotFound,
    InvalidArgument,
    NotADirectory,
)
from minihdfs.namenode.core.registry import Call, Calls
from minihdfs.namenode.core.request import Request
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree import edits, reserved
from minihdfs.namenode.core.tree.deleting import check_tree
from minihdfs.namenode.core.tree.elected import ask, require_elected


@dataclass(frozen=True, slots=True)
class Publish(Request):
    """Ours: renames directory `staging` to `destination` in one edit, fenced by the tracker's
    epoch.

    `replaced_inode_id` = the existing destination that the job was told to overwrite (0 = none may
    exist). Answer: inode id of the published directory. Repeating it after success (destination is
    the staging inode) gives the first answer.
    """

    retried = True

    staging: str
    destination: str
    replaced_inode_id: int
    tracker_epoch: int


def publish(state: State, event: Publish) -> int:
    """Fenced by the tracker's epoch; re-runnable: the directory remembers which staging directory
    it was."""
    state.safemode.require_off(f"publish {event.destination}")
    refuse_a_jobs_staging(event)
    require_elected(state, event.tracker_epoch, patient=event.caller.patient)
    if (
        0 < event.tracker_epoch < state.tracker_epoch
    ):  # 0: no tracker's, but a program's that publishes for itself
        raise FencedWriter(
            f"publish of {event.destination} by a tracker of epoch {event.tracker_epoch}; epoch "
            f"{state.tracker_epoch} has published since"
        )
    staging_path = paths.normal(event.staging)
    staging = state.namespace.find(event.caller, event.staging)
    if staging is None:
        done = state.namespace.find(event.caller, event.destination)
        if done is not None and done.published_from == staging_path:
            return done.id
        raise FileNotFound(f"publish source {event.staging} is not found")
    if not staging.is_directory:
        raise NotADirectory(f"publish source {event.staging} is not a directory")
    if not paths.components(event.destination):
        raise FileAlreadyExists("the root / cannot be the destination of a publish")
    for path in (event.staging, event.destination):
        reserved.check_taken(paths.components(path))
    reserved.check_new(paths.components(event.destination))
    directory, name, target = state.namespace.parent_of(event.caller, event.destination)
    if target is not None and target.id != event.replaced_inode_id:
        raise FileAlreadyExists(
            f"publish destination {event.destination} already exists",
            next_command=f"mrc fs ls -d {event.destination}",
        )
    if state.namespace.is_ancestor(staging.id, directory.id) or (
        target is not None and state.namespace.is_ancestor(target.id, staging.id)
    ):
        raise InvalidArgument(
            f"publish of {event.staging} to {event.destination}: one is under the other"
        )
    state.permissions.check_names(
        event.caller, state.namespace.require(staging.parent_id), event.staging, staging
    )
    state.permissions.check_names(event.caller, directory, event.destination, target)
    if target is not None and target.is_directory:
        check_tree(state, event.caller, target, event.destination)
    renamed = edits.Renamed(staging.id, directory.id, name, 0 if target is None else target.id)
    state.commit(
        edits.Published(renamed, staging_path, event.tracker_epoch), event.caller, staging.id
    )
    return staging.id


_STAGING_OF_A_JOB = re.compile(r"\..+\.job_[0-9]{8}_[0-9]{7,12}")
"""A job's number is the tracker's epoch × 10^6 + a counter. What programs of their own make has
longer ones (a time of day)."""


def refuse_a_jobs_staging(event: Publish) -> None:
    """A program may publish without an epoch, but not what a tracker publishes: it would end a
    job's work half done."""
    if event.tracker_epoch == 0 and any(
        _STAGING_OF_A_JOB.fullmatch(name) for name in paths.components(event.staging)
    ):
        raise InvalidArgument(
            f"{event.staging} is a job's: only its tracker publishes it, with its epoch"
        )


@dataclass(frozen=True, slots=True)
class ResetTrackerEpoch(Request):
    """Ours: the superuser takes back a tracker's epoch that nobody ever had. Answer: (what it was,
    what it is now)."""


def reset_tracker_epoch(state: State, event: ResetTrackerEpoch) -> tuple[int, int]:
    """(what it was, what it is now). For a namespace that believed a number, or a coordinator that
    lost its memory."""
    state.permissions.check_superuser(event.caller, "resetting the tracker's epoch")
    if event.caller.patient:
        ask(state)
    was, ceiling = state.tracker_epoch, state.elected.ceiling
    if was <= ceiling:
        raise InvalidArgument(
            f"the tracker's epoch here is {was}, and the coordinator has handed out {ceiling}: "
            "nothing to reset"
        )
    state.commit(edits.TrackerEpochReset(ceiling))
    return was, ceiling


CALLS: Calls = {
    Publish: Call(publish),
    ResetTrackerEpoch: Call(reset_tracker_epoch),
}
