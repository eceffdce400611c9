"""What is in a tracker's journal: the numbers of its edits, and what each changes in the ledger.
Every edit goes through the bytes it has on disk."""

from __future__ import annotations

from typing import Any

import pytest

from clusterkit.effects import Edit
from clusterkit.records import number_of
from mapreduce.jobtracker.core import edits, records
from mapreduce.jobtracker.core.ledger import Ledger
from mapreduce.jobtracker.core.records import IllegalMove, JobRecord
from mapreduce.jobtracker.edit_codec import edit_codec, is_checkpoint
from mapreduce.model import (
    PART,
    RESULT,
    SPLITS,
    Edge,
    FileResult,
    JobOutput,
    JobPlan,
    Stage,
    TaskId,
    TaskSplit,
)

NUMBERS = {
    1: "JobAccepted",
    2: "JobStarted",
    3: "PlanExtended",
    4: "PlanClosed",
    5: "StagesRetired",
    6: "TaskDone",
    7: "OutputLost",
    8: "AttemptEnded",
    9: "CommitGranted",
    10: "OutputPublished",
    11: "JobFinished",
    12: "StagingCleared",
    13: "Checkpoint",
}
JOB = "job_20261122_1000001"
READ = Stage(
    id=0,
    name="read",
    tasks=2,
    inputs=(Edge(0, 0, SPLITS),),
    partitions=1,
    splits=(TaskSplit(0, b"a"), TaskSplit(0, b"b", ("h1",))),
)
WRITE = Stage(id=1, name="write", tasks=1, inputs=(Edge(0, 0, PART),), commits=(4,))
LATER = Stage(id=2, name="later", tasks=1, inputs=(Edge(0, 0, RESULT),))
OUTPUT = JobOutput(4, "/out", replaced_file_id=(1 << 64) - 1)
PLAN = JobPlan(
    name="j", user="ann", stages=(READ, WRITE), outputs=(OUTPUT,), spec=b"\xff", open=True
)


def attempt(stage: int, task: int, number: int = 0) -> str:
    return f"attempt_20261122_1000001_s{stage}_{task:06d}_{number}"


class Book:
    """A ledger that is told edits by their bytes, with one open job in it."""

    def __init__(self, plan: JobPlan = PLAN) -> None:
        self.ledger = Ledger(10)
        self.apply(edits.JobAccepted(JOB, "t", plan))

    def apply(self, *ops: Any) -> None:
        for op in ops:
            edit = Edit(self.ledger.txid + 1, 1, 7, op)
            self.ledger.apply(edit_codec().decode(edit_codec().encode(edit)))
        twin = Ledger(10)
        checkpoint = Edit(self.ledger.txid + 1, 1, 7, self.ledger.image())
        twin.apply(edit_codec().decode(edit_codec().encode(checkpoint)))
        assert twin.image() == self.ledger.image(), "the checkpoint is the state"

    @property
    def job(self) -> JobRecord:
        return self.ledger.jobs[JOB]

    def done(self, stage: int, task: int, number: int = 0, result: bytes = b"") -> None:
        self.apply(edits.TaskDone(attempt(stage, task, number), "w1", (("G", "n", 1),), result))

    def granted(self) -> None:
        file = FileResult("/s/p", 9, 8, 7, output=4, records=6)
        self.apply(edits.CommitGranted(attempt(1, 0), "w1", (file,), (), b"wrote"))


def test_a_number_is_given_once_for_ever() -> None:
    """A journal may hold them: append, never change a line."""
    assert {number_of(kind): kind.__name__ for kind in edits.EDITS} == NUMBERS


def test_a_checkpoint_is_told_by_its_number_alone() -> None:
    codec = edit_codec()
    one = codec.encode(Edit(1 << 40, 1 << 40, 7, edits.Checkpoint("20261122", 1, ())))
    other = codec.encode(Edit(1, 1, 7, edits.JobStarted(JOB)))
    assert (is_checkpoint(one), is_checkpoint(other)) == (True, False)


def test_an_accepted_plan_is_kept_as_stages_and_outputs() -> None:
    book = Book()
    assert [found.stage for found in book.job.stages] == [READ, WRITE]
    assert book.job.outputs[0, 4].output == OUTPUT
    assert (book.job.output, book.job.closed, book.job.plan.spec) == ("/out", False, b"\xff")


def test_an_extension_appends_stages_and_outputs_of_its_own_number() -> None:
    book = Book()
    late = JobOutput(4, "/late")
    writer = Stage(id=3, name="writer", tasks=1, commits=(4,))
    book.apply(edits.PlanExtended(JOB, 1, (LATER, writer), (late,)))
    assert [(found.stage.id, found.seq) for found in book.job.stages] == [
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 1),
    ]
    assert [book.job.outputs[key].output.path for key in ((0, 4), (1, 4))] == ["/out", "/late"]
    assert book.job.task(TaskId(3, 0)) is not None


@pytest.mark.parametrize("seq", [0, 1, 3])
def test_an_extension_follows_the_one_before_it(seq: int) -> None:
    book = Book()
    book.apply(edits.PlanExtended(JOB, 1, (LATER,)))
    with pytest.raises(IllegalMove):
        book.apply(edits.PlanExtended(JOB, seq, (Stage(id=3, name="x", tasks=1),)))


def test_an_open_job_is_complete_only_once_it_is_closed() -> None:
    book = Book()
    book.done(0, 0)
    book.done(0, 1)
    book.granted()
    assert book.job.state == records.WAITING
    book.apply(edits.PlanClosed(JOB))
    assert book.job.state == records.PUBLISHING
    with pytest.raises(IllegalMove):
        book.apply(edits.PlanExtended(JOB, 1, (LATER,)))


def test_what_is_retired_forgets_its_tasks_and_keeps_its_numbers() -> None:
    book = Book()
    book.done(0, 0, result=b"seven")
    book.done(0, 1, result=b"three")
    book.granted()
    assert book.job.result_bytes == 15
    book.apply(edits.StagesRetired(JOB, 0))
    read = book.job.stages[0]
    assert (read.tasks, read.done, read.total, read.stage.splits) == ([], 2, 2, ())
    assert book.job.result_bytes == 5 and book.job.task(TaskId(0, 0)) is None
    book.apply(edits.PlanClosed(JOB))
    assert book.job.state == records.PUBLISHING


def test_the_first_result_stands_whatever_becomes_of_the_output() -> None:
    """Others may have been given it."""
    book = Book()
    book.done(0, 0, result=b"first")
    book.apply(edits.OutputLost(JOB, 0, 0, "w1 is gone"))
    task = book.job.stages[0].tasks[0]
    assert (task.state, task.result, task.losses) == (records.PENDING, b"first", 1)
    assert (book.job.stages[0].done, book.job.stages[0].made) == (0, 1)
    assert ("G", "n") not in book.job.totals or book.job.totals["G", "n"] == 0
    book.done(0, 0, number=1, result=b"second")
    task = book.job.stages[0].tasks[0]
    assert (task.winner, task.result) == (attempt(0, 0, 1), b"first")
    assert (book.job.stages[0].done, book.job.stages[0].made) == (1, 1)


def test_a_grant_keeps_every_file_with_its_output() -> None:
    book = Book()
    book.granted()
    task = book.job.stages[1].tasks[0]
    assert [(file.output, file.file_id, file.records) for file in task.files] == [(4, 9, 6)]
    assert task.result == b"wrote"
    with pytest.raises(IllegalMove):
        book.granted()


def test_an_output_has_appeared_by_job_extension_and_number() -> None:
    book = Book()
    book.apply(edits.PlanExtended(JOB, 1, (LATER,), ()))
    book.apply(edits.OutputPublished(JOB, 0, 4))
    assert book.job.outputs[0, 4].appeared
    with pytest.raises(KeyError):
        book.apply(edits.OutputPublished(JOB, 1, 4))
