"""The rules of one write, without a socket."""

from __future__ import annotations

import itertools

import pytest

from minihdfs.datanode.core.pipeline import (
    ERROR,
    ERROR_CHECKSUM,
    SUCCESS,
    Ack,
    Pipeline,
    Place,
    admit,
)


@pytest.mark.parametrize(
    ("stage", "client", "place"),
    [
        (6, "client_1", Place.CLIENT),
        (6, "", Place.COPY),
        (7, "client_1", Place.OPEN_COPY),
        (8, "client_1", Place.COPY),
    ],
)
def test_where_a_write_goes(stage: int, client: str, place: Place) -> None:
    assert admit(stage, client) is place


@pytest.mark.parametrize("stage", [0, 1, 2, 3, 4, 5, 99])
def test_other_stages_are_refused_in_words(stage: int) -> None:
    assert "not served" in str(admit(stage, "client_1"))


def test_the_last_node_acknowledges_what_it_stored() -> None:
    pipeline = Pipeline(mirrored=False)
    assert (
        pipeline.stored(0, SUCCESS, 512, False) == [Ack(0, (SUCCESS,))] and pipeline.visible == 512
    )
    assert pipeline.stored(1, SUCCESS, 512, True) == [Ack(1, (SUCCESS,))] and pipeline.complete


def test_a_packet_waits_for_both_whichever_comes_first() -> None:
    """Every interleaving of three packets stored here and acknowledged behind gives the same acks
    in the same order."""
    for order in set(itertools.permutations("sssmmm")):
        pipeline, acks = Pipeline(mirrored=True), list[Ack]()
        stored = behind = 0
        for step in order:
            if step == "s":
                acks += pipeline.stored(stored, SUCCESS, 10 * (stored + 1), stored == 2)
                stored += 1
            else:
                acks += pipeline.mirror_acknowledged(behind, (SUCCESS, SUCCESS))
                behind += 1
            assert pipeline.visible == 10 * min(stored, behind)
        assert acks == [Ack(i, (SUCCESS, SUCCESS, SUCCESS)) for i in range(3)] and pipeline.complete


def test_a_lost_mirror_is_told_in_second_place_with_the_next_packet() -> None:
    pipeline = Pipeline(mirrored=True)
    assert pipeline.mirror_lost() == []
    assert pipeline.stored(0, SUCCESS, 10, False) == [Ack(0, (SUCCESS, ERROR))]
    assert pipeline.broken and pipeline.visible == 0
    assert pipeline.stored(1, SUCCESS, 20, True) == [] and not pipeline.complete


def test_acks_that_arrived_before_the_mirror_was_lost_still_count() -> None:
    pipeline = Pipeline(mirrored=True)
    pipeline.mirror_acknowledged(0, (SUCCESS,))
    pipeline.mirror_lost()
    assert pipeline.stored(0, SUCCESS, 10, False) == [Ack(0, (SUCCESS, SUCCESS))]
    assert pipeline.stored(1, SUCCESS, 20, False) == [Ack(1, (SUCCESS, ERROR))]


def test_an_error_here_is_told_with_what_the_others_say() -> None:
    pipeline = Pipeline(mirrored=True)
    assert pipeline.stored(0, ERROR, 10, False) == []
    assert (
        pipeline.mirror_acknowledged(0, (SUCCESS,)) == [Ack(0, (ERROR, SUCCESS))]
        and pipeline.broken
    )


def test_a_bad_checksum_behind_breaks_the_connection_without_a_word() -> None:
    pipeline = Pipeline(mirrored=True)
    pipeline.stored(0, SUCCESS, 10, False)
    assert pipeline.mirror_acknowledged(0, (ERROR_CHECKSUM,)) == [] and pipeline.broken


def test_an_ack_of_another_packet_is_an_error_of_the_mirror() -> None:
    pipeline = Pipeline(mirrored=True)
    pipeline.stored(4, SUCCESS, 10, False)
    assert pipeline.mirror_acknowledged(5, (SUCCESS,)) == [Ack(4, (SUCCESS, ERROR))]
