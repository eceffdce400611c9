"""When safe mode ends, and what a pause of the namenode's process does to its deadlines."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from clusterkit.effects import Instant
from minihdfs.namenode.core.blocks.safemode import Safemode
from minihdfs.namenode.core.options import Options

SECOND = 1_000_000
BOOTED_LONG_AGO = 100_000 * SECOND


def at(seconds: int) -> Instant:
    return Instant(BOOTED_LONG_AGO + seconds * SECOND, BOOTED_LONG_AGO + seconds * SECOND)


def test_a_pause_before_the_first_datanode_comes_does_not_end_safe_mode_at_its_report() -> None:
    nodes = SimpleNamespace(have_reported=False, awaited={"d0": None, "d1": None})
    safemode = Safemode(
        Options("c1", "root"),
        cast(Any, SimpleNamespace(reported=0, complete_total=10)),
        cast(Any, nodes),
    )
    safemode.start(at(0))
    safemode.credit(5 * SECOND)
    safemode.news(at(6))
    nodes.have_reported = True
    nodes.awaited.pop("d0")
    safemode.look(at(6))
    assert safemode.on
    safemode.look(at(36))
    assert not safemode.on


def test_a_pause_does_not_shorten_the_time_in_which_nothing_is_deleted() -> None:
    nodes = SimpleNamespace(have_reported=True, awaited={})
    safemode = Safemode(
        Options("c1", "root"),
        cast(Any, SimpleNamespace(reported=0, complete_total=10)),
        cast(Any, nodes),
    )
    safemode.start(at(0))
    assert not safemode.on
    safemode.credit(7200 * SECOND)
    assert not safemode.may_delete(at(7201))
    assert safemode.may_delete(at(7200 + 3600))
