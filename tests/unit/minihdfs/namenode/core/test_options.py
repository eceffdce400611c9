"""Options check their relations to each other."""

from __future__ import annotations

import pytest

from minihdfs.model import ServerDefaults
from minihdfs.namenode.core.options import Options


def test_a_short_dead_after_makes_heartbeats_faster() -> None:
    assert Options("c", "root").heartbeat_us == 1_000_000
    short = Options("c", "root", dead_after_us=2_000_000)
    assert short.heartbeat_us == 500_000 and short.stale_us == 1_000_000


def test_contradictions_are_refused() -> None:
    with pytest.raises(ValueError, match="dead_after"):
        Options("c", "root", dead_after_us=99_999)
    with pytest.raises(ValueError, match="soft limit"):
        Options("c", "root", lease_soft_us=10, lease_hard_us=9)
    with pytest.raises(ValueError, match="default replication 0"):
        Options("c", "root", defaults=ServerDefaults(replication=0))
