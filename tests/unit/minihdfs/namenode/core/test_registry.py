"""The tables of the rooms: a mistake in them ends the import."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clusterkit.records import Record, number_of
from minihdfs.namenode.core.namesystem import EDITS, REQUESTS
from minihdfs.namenode.core.registry import Call, merged_calls, merged_edits
from minihdfs.namenode.core.request import Request
from minihdfs.namenode.core.tree import calls, edits


def test_a_request_without_a_handler_is_refused_by_name() -> None:
    rest = {kind: call for kind, call in REQUESTS.items() if kind is not calls.Mkdirs}
    with pytest.raises(TypeError, match="without a handler: Mkdirs"):
        merged_calls(rest)


def test_a_request_with_two_handlers_is_refused_by_name() -> None:
    twice = {calls.Mkdirs: Call(calls.mkdirs)}
    with pytest.raises(TypeError, match="Mkdirs has two handlers"):
        merged_calls(REQUESTS, twice)


def test_a_number_that_is_another_edits_is_refused_by_name() -> None:
    class Moved(Record, frozen=True, tag=4):
        inode_id: int

    with pytest.raises(TypeError, match="edit 4 is Renamed, and Moved"):
        merged_edits(edits.EDITS, {Moved: lambda state, op, at_ms: None})


def test_an_edit_without_a_number_is_refused_by_name() -> None:
    class Moved(Record, frozen=True):
        inode_id: int

    with pytest.raises(TypeError, match="Moved has no number"):
        merged_edits({Moved: lambda state, op, at_ms: None})


def test_numbers_of_edits_are_what_they_were() -> None:
    """Journals hold them: a number is never used again, for anything else."""
    assert {number_of(kind): kind.__name__ for kind in EDITS} == {
        1: "RootMade",
        2: "LeadershipTaken",
        3: "DirectoryMade",
        4: "Renamed",
        5: "RenamedMany",
        6: "Published",
        7: "TrackerEpochReset",
        8: "Deleted",
        9: "Reclaimed",
        20: "FileCreated",
        21: "FileClosed",
        22: "BlockAdded",
        23: "BlockCommitted",
        24: "BlockDropped",
        25: "BlockLengthNoted",
        26: "PipelineUpdated",
        40: "StampAllocated",
        41: "IdsSkipped",
        50: "DatanodeMet",
        60: "PermissionSet",
        61: "OwnerSet",
        62: "TimesSet",
        63: "ReplicationSet",
    }


def test_a_request_says_of_itself_whether_its_repetition_is_told_the_same() -> None:
    @dataclass(frozen=True, slots=True)
    class Looks(Request):
        path: str

    assert not Looks.retried and calls.Delete.retried and not calls.Delete.void
    assert calls.Rename2.retried and calls.Rename2.void
