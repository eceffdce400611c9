"""Ids, retention, and the checkpoint that is the state."""

from __future__ import annotations

from typing import Any

from clusterkit.effects import Edit
from mapreduce.jobtracker.core import edits
from mapreduce.jobtracker.core.ledger import Ledger
from mapreduce.jobtracker.edit_codec import edit_codec
from mapreduce.model import FileResult, JobOutput, JobPlan, TaskSplit
from tests.scripts.tracker.stage import classic

NOON_US = 1_795_348_800_000_000  # 2026-11-22T12:00Z
DAY_US = 86_400_000_000


def apply(ledger: Ledger, *ops: Any, wall_us: int = NOON_US) -> None:
    for op in ops:
        ledger.apply(
            edit_codec().decode(edit_codec().encode(Edit(ledger.txid + 1, 1, wall_us, op)))
        )


def accept(
    ledger: Ledger, maps: int = 1, reduces: int = 0, wall_us: int = NOON_US, epoch: int = 1
) -> str:
    job_id = ledger.next_job_id(wall_us, epoch)
    assert job_id is not None
    splits = tuple(TaskSplit(0, b"{}", ("h1",)) for _ in range(maps))
    plan = JobPlan(
        name="j",
        user="ann",
        stages=classic(splits, reduces),
        outputs=(JobOutput(0, f"/{job_id}"),),
        spec=b"{}",
    )
    apply(ledger, edits.JobAccepted(job_id, f"token-{job_id}", plan), wall_us=wall_us)
    return job_id


def test_job_ids_count_up_within_a_day_and_never_go_back() -> None:
    ledger = Ledger(10)
    assert [accept(ledger), accept(ledger)] == ["job_20261122_1000001", "job_20261122_1000002"]
    assert accept(ledger, wall_us=NOON_US + DAY_US) == "job_20261123_1000001"
    assert accept(ledger, wall_us=NOON_US) == "job_20261123_1000002"


def test_no_two_trackers_give_one_job_id() -> None:
    """Whatever became of the journal of the one before: lost, restored, or another machine's."""
    first, empty, restored = Ledger(10), Ledger(10), Ledger(10)
    assert accept(first, epoch=2) == "job_20261122_2000001"
    apply(restored, first.image())
    accept(first, epoch=2)
    assert accept(empty, epoch=3) == "job_20261122_3000001"
    assert accept(restored, epoch=4) == "job_20261122_4000001"
    assert accept(restored, epoch=4) == "job_20261122_4000002"


def test_the_numbers_of_an_epoch_end_before_those_of_the_next() -> None:
    ledger = Ledger(10)
    accept(ledger, epoch=2)
    ledger.last_number = 2_999_998
    assert accept(ledger, epoch=2) == "job_20261122_2999999"
    assert ledger.next_job_id(NOON_US, 2) is None
    assert accept(ledger, epoch=3) == "job_20261122_3000001"


def test_the_oldest_finished_jobs_are_forgotten_with_their_tokens() -> None:
    ledger = Ledger(keep_finished=2)
    for _ in range(4):
        apply(ledger, edits.JobFinished(accept(ledger), "KILLED"))
    live = accept(ledger)
    assert list(ledger.jobs) == ["job_20261122_1000003", "job_20261122_1000004", live]
    assert len(ledger.by_token) == 3


def test_counters_count_only_what_counts() -> None:
    ledger = Ledger(10)
    job = ledger.jobs[accept(ledger, maps=1, reduces=1)]
    map_0, map_1 = "attempt_20261122_1000001_s0_000000_0", "attempt_20261122_1000001_s0_000000_1"
    apply(ledger, edits.TaskDone(map_0, "w1", (("job", "map_input_records", 5),)))
    apply(
        ledger,
        edits.OutputLost(job.job_id, 0, 0, "w1 is gone"),
        edits.TaskDone(map_1, "w2", (("job", "map_input_records", 5),)),
    )
    assert job.counters() == (("job", "lost_map_outputs", 1), ("job", "map_input_records", 5))


def test_a_ledger_built_from_a_checkpoint_is_the_same_ledger() -> None:
    ledger = Ledger(10)
    job_id = accept(ledger, maps=2)
    apply(ledger, edits.JobFinished(accept(ledger), "FAILED", "boom", b"{}"))
    apply(
        ledger,
        edits.JobStarted(job_id),
        edits.AttemptEnded("attempt_20261122_1000001_s0_000000_0", "w1", "LOST", "gone"),
    )
    grant = edits.CommitGranted(
        "attempt_20261122_1000001_s0_000001_0",
        "w2",
        (FileResult("/s/part", 3, 4, 5),),
        (("G", "n", 2),),
    )
    apply(ledger, grant, ledger.image())
    twin = Ledger(10)
    apply(twin, ledger.image())
    assert twin.image() == ledger.image()
    assert twin.next_job_id(NOON_US, 1) == ledger.next_job_id(NOON_US, 1)


def test_sums_that_no_journal_holds_do_not_keep_a_checkpoint_from_it() -> None:
    ledger = Ledger(10)
    accept(ledger, maps=4, reduces=1)
    for index in range(4):
        apply(
            ledger,
            edits.TaskDone(
                f"attempt_20261122_1000001_s0_{index:06d}_0", "w1", (("G", "n", (1 << 63) - 1),)
            ),
        )
    apply(Ledger(10), ledger.image())


def test_a_checkpoint_knows_which_job_finished_first_whatever_the_clock_said() -> None:
    """The one that is dropped first must be the same for who replays: with it goes the token by
    which a repeated submission is known."""
    ledger = Ledger(keep_finished=2)
    first, second, live = accept(ledger), accept(ledger), accept(ledger)
    apply(ledger, edits.JobFinished(second, "KILLED"))
    apply(ledger, edits.JobFinished(first, "KILLED"), wall_us=NOON_US - DAY_US)
    again = Ledger(keep_finished=2)
    apply(again, ledger.image())
    for one in (ledger, again):
        assert list(one.jobs) == [first, second, live]
        apply(one, edits.JobFinished(live, "KILLED"))
        assert list(one.jobs) == [first, live] and list(one.by_token.values()) == [first, live]
