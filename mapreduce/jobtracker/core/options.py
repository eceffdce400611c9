"""What an operator may turn of a tracker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator may turn. Durations in microseconds of the monotonic clock."""

    dead_after_us: int = 5_000_000  # silence of a worker's reports after which it is dead
    detached_after_us: int = 2_000_000  # the same once its stream of orders has ended too
    # a dead worker is listed for at least so long; when a worker comes after that, it is forgotten
    forget_dead_us: int = 3_600_000_000
    # how long a new tracker waits for workers before it re-runs what they may still hold
    readopt_grace_us: int = 3_000_000
    kill_grace_us: int = (
        10_000_000  # a killed attempt that is never reported ended frees its slot after this
    )
    # the most that removing a finished job's work waits for its killed attempts to end
    staging_grace_us: int = 5_000_000
    locality_wait_us: int = (
        300_000  # how long a map waits for a slot on a host that holds its split
    )
    slow_start: float = 0.05  # share of maps done before reduces may take slots that maps could use
    early_reduce_share: float = (
        0.25  # share of all slots that reduces may hold while maps still wait for one
    )
    max_losses: int = (
        10  # attempts and outputs of one task lost to dying workers before the job fails
    )
    fetch_reports: int = 2  # reports of an unreachable map output before it is made again
    keep_finished: int = 1000  # finished jobs remembered
    checkpoint_edits: int = 20_000  # edits between two checkpoints: bounds what a restart replays
    max_watchers: int = 100
    max_workers: int = 4_096  # known at a time, dead ones included
    max_live_jobs: int = 1_000  # accepted and not finished
    max_live_tasks: int = 200_000  # of all of them together
