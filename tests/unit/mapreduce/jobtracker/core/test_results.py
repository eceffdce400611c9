"""Results of tasks: handed on whole, whatever one message holds, and bounded for a job."""

from __future__ import annotations

import pytest

from mapreduce import exchange as ex
from mapreduce.jobtracker.core import events
from mapreduce.model import MAX_JOB_RESULT_BYTES, MAX_RESULT_BYTES, MESSAGE_RESULT_BYTES
from tests.scripts.tracker.stage import Stage, long

FULL = "r" * MAX_RESULT_BYTES


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(Stage, "check_replay", lambda _stage: None)  # of megabytes, each time
    made = Stage()
    made.do_attend("w1", slots="1000")
    return made


def told(stage: Stage, tasks: int) -> None:
    for index in range(tasks):
        stage.do_made("w1", f"1:m{index}_0", result=FULL)


def test_what_is_more_than_a_message_comes_in_pieces_before_the_launch(stage: Stage) -> None:
    count = 2 * MESSAGE_RESULT_BYTES // MAX_RESULT_BYTES + 3
    stage.do_plan("j", f"read:{count}:splits:", "sum:1:result0:c0")
    told(stage, count)
    orders = [s.message for s in stage.sends if isinstance(s.message, ex.TellResults | ex.Launch)]
    *before, last = orders[count:]
    assert [type(order) for order in (*before, last)] == [ex.TellResults] * 2 + [ex.Launch]
    assert {order.attempt_id for order in (*before, last)} == {long("1:r0_0")}
    handed = [one for order in (*before, last) for one in order.results]
    assert [one.task for one in handed] == list(range(count))
    for order in (*before, last):
        assert sum(len(one.result) for one in order.results) <= MESSAGE_RESULT_BYTES


def test_a_job_whose_results_are_too_many_fails_in_words(stage: Stage) -> None:
    most = MAX_JOB_RESULT_BYTES // MAX_RESULT_BYTES
    stage.do_plan("j", f"read:{most + 1}:splits:", "sum:1:result0:c0")
    told(stage, most)
    stage.do_status("1")
    told_status = stage.sends[-1].message
    assert isinstance(told_status, events.JobStatus) and told_status.state == "RUNNING"
    stage.do_made("w1", f"1:m{most}_0", result="r")
    stage.do_status("1")
    status = stage.sends[-1].message
    assert (status.state, status.error) == (
        "FAILED",
        "the results of its tasks have 16777217 bytes; 16777216 is the most",
    )
