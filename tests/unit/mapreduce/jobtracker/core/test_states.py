"""The tables: finished is finished, and an illegal move changes nothing."""

from __future__ import annotations

import pytest

from mapreduce.jobtracker.core import records


def test_nothing_leads_out_of_a_finished_job() -> None:
    assert not [state for state, _ in records.JOB_MOVES if state in records.FINISHED]
    assert set(records.JOB_MOVES.values()) >= records.FINISHED


def test_attempts_end_once() -> None:
    assert {state for state, _ in records.ATTEMPT_MOVES} == {records.RUNNING}


def test_an_illegal_move_is_an_error_that_names_it() -> None:
    with pytest.raises(records.IllegalMove, match="SUCCEEDED cannot be killed"):
        records.move(records.JOB_MOVES, records.SUCCEEDED, "killed")
