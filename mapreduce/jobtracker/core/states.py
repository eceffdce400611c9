"""Every state and every legal move, in one table each. An illegal move is an error and changes
nothing.

A job is told to users as RUNNING while it is PUBLISHING: its parts are all granted and the output
is being put in place.
"""

from __future__ import annotations

WAITING, RUNNING, PUBLISHING, SUCCEEDED, FAILED, KILLED = (
    "WAITING",
    "RUNNING",
    "PUBLISHING",
    "SUCCEEDED",
    "FAILED",
    "KILLED",
)
FINISHED = frozenset({SUCCEEDED, FAILED, KILLED})

PENDING, DONE = "PENDING", "DONE"
LOST = "LOST"

# a job without tasks, or one whose attempts a new tracker learns of by their commits
JOB_MOVES = {
    (WAITING, "started"): RUNNING,
    (
        WAITING,
        "all_granted",
    ): PUBLISHING,
    (WAITING, "failed"): FAILED,
    (WAITING, "killed"): KILLED,
    (RUNNING, "all_granted"): PUBLISHING,
    (RUNNING, "failed"): FAILED,
    (RUNNING, "killed"): KILLED,
    (PUBLISHING, "published"): SUCCEEDED,
    (PUBLISHING, "failed"): FAILED,
}

TASK_MOVES = {
    (PENDING, "succeeded"): DONE,
    (PENDING, "granted"): DONE,
    (DONE, "output_lost"): PENDING,
}
"""A task's durable life: whether an attempt of it is running right now is soft state and re-learnt
from the workers."""

ATTEMPT_MOVES = {
    (RUNNING, "succeeded"): SUCCEEDED,
    (RUNNING, "granted"): SUCCEEDED,
    (RUNNING, "failed"): FAILED,
    (RUNNING, "killed"): KILLED,
    (RUNNING, "lost"): LOST,
}


class IllegalMove(Exception):
    """The tracker contradicts itself: a broken invariant, never a caller's fault."""


def move(table: dict[tuple[str, str], str], state: str, event: str) -> str:
    try:
        return table[state, event]
    except KeyError:
        raise IllegalMove(f"{state} cannot be {event}") from None


def can(table: dict[tuple[str, str], str], state: str, event: str) -> bool:
    return (state, event) in table
