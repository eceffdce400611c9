"""The tables: finished is finished, and an illegal move changes nothing."""

from __future__ import annotations

import pytest

from mapreduce.jobtracker.core import ledger


def test_nothing_leads_out_of_a_finished_job() -> None:
    assert not [state for state, _ in ledger.JOB_MOVES if state in ledger.FINISHED]
    assert set(ledger.JOB_MOVES.values()) >= ledger.FINISHED


def test_attempts_end_once() -> None:
    assert {state for state, _ in ledger.ATTEMPT_MOVES} == {ledger.RUNNING}


def test_an_illegal_move_is_an_error_that_names_it() -> None:
    with pytest.raises(ledger.IllegalMove, match="SUCCEEDED cannot be killed"):
        ledger.move(ledger.JOB_MOVES, ledger.SUCCEEDED, "killed")
