"""The lanes to the namenode outlive whatever goes wrong in them."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from clusterkit.errors import ClusterError, Unavailable
from minihdfs.datanode.core import events as e
from minihdfs.datanode.namenode_link import NamenodeLink
from minihdfs.errors import WrongCluster
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeUsage

ADDRESS = DatanodeAddress("d1", "127.0.0.1", "localhost", 1, 2)


def usage() -> DatanodeUsage:
    return DatanodeUsage(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "error", [IndexError("no comma"), RuntimeError("of a library"), Unavailable("nobody leads")]
)
@pytest.mark.parametrize("lane", [0, 1])
def test_a_lane_survives_every_error_of_looking_for_the_namenode(
    error: Exception, lane: int
) -> None:
    posted: queue.Queue[Any] = queue.Queue()

    def find() -> str:
        raise error

    link = NamenodeLink(find, usage, posted.put, 1.0)
    link.start()
    for call in (1, 2, 3):
        request: e.Request = (
            e.Heartbeat(call, "d1", 1)
            if lane == 0
            else e.FoundBad(call, "d1", 1, (BlockRef(1, 1, 1),))
        )
        link.send(request)
        failed = posted.get(timeout=10)
        assert (
            isinstance(failed, e.CallFailed)
            and failed.call == call
            and str(error) in failed.message
        )
    link.stop()


def test_usage_that_cannot_be_told_ends_no_lane() -> None:
    posted: queue.Queue[Any] = queue.Queue()

    def broken() -> DatanodeUsage:
        raise OSError(5, "Input/output error")

    link = NamenodeLink(lambda: "127.0.0.1:1", broken, posted.put, 1.0)
    link.start()
    for call in (1, 2):
        link.send(e.Heartbeat(call, "d1", 1))
        assert posted.get(timeout=10).call == call
    link.stop()


@pytest.mark.parametrize(
    ("error", "answer"),
    [(WrongCluster("no"), e.RegistrationRefused), (ClusterError("later"), e.CallFailed)],
)
def test_only_another_cluster_refuses_for_good(error: ClusterError, answer: type) -> None:
    posted: queue.Queue[Any] = queue.Queue()

    def find() -> str:
        raise error

    link = NamenodeLink(find, usage, posted.put, 1.0)
    link.start()
    link.send(e.Register(1, ADDRESS, "c1"))
    assert type(posted.get(timeout=10)) is answer
    link.stop()
