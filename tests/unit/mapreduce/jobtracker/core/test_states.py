"""The tables: finished is finished, and an illegal move changes nothing."""

from __future__ import annotations

import pytest

from mapreduce.jobtracker.core import states


def test_nothing_leads_out_of_a_finished_job() -> None:
    assert not [state for state, _ in states.JOB_MOVES if state in states.FINISHED]
    assert set(states.JOB_MOVES.values()) >= states.FINISHED


def test_attempts_end_once() -> None:
    assert {state for state, _ in states.ATTEMPT_MOVES} == {states.RUNNING}


def test_an_illegal_move_is_an_error_that_names_it() -> None:
    with pytest.raises(states.IllegalMove, match="SUCCEEDED cannot be killed"):
        states.move(states.JOB_MOVES, states.SUCCEEDED, "killed")
