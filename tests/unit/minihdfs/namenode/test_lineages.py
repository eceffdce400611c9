"""A repeated call ends the connection that carried it first: what still lies there never runs."""

from __future__ import annotations

import os

from minihdfs.namenode.core import events as ev
from minihdfs.namenode.lineages import Lineage, Lineages
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.wire import hadoop_rpc
from tests.unit.minihdfs.namenode.fake_core import running
from tests.unit.minihdfs.namenode.test_rpc import CLIENT, RawClient

DELETE = nn.DeleteRequest(src="/f", recursive=True)
INFO = nn.GetFileInfoRequest(src="/")


def test_a_first_transmission_that_arrives_after_its_repetition_is_never_carried_out() -> None:
    with running() as namenode:
        early, never_heard, late = RawClient(namenode), RawClient(namenode), RawClient(namenode)
        early.ask("getFileInfo", INFO)
        assert late.ask("delete", DELETE, call_id=7, retry=1).call_id == 7
        for slow in (early, never_heard):
            try:
                slow.send("delete", DELETE, call_id=7)
            except OSError:
                pass
            assert slow.ended()
        assert late.ask("delete", DELETE, call_id=8).call_id == 8
        assert [
            event.caller.call_id for event in namenode.core.asked if isinstance(event, ev.Delete)
        ] == [7, 8]


def test_connections_of_others_and_later_ones_stay() -> None:
    with running() as namenode:
        other_client = RawClient(namenode)
        other_user = RawClient(namenode, hadoop_rpc.encode_opening("bob", CLIENT))
        repeating, later = RawClient(namenode), RawClient(namenode)
        other_client.sock.sendall(
            hadoop_rpc.encode_call(
                1, os.urandom(16), 0, hadoop_rpc.CLIENT_PROTOCOL, "getFileInfo", INFO
            )
        )
        other_client.reply()
        for client in (other_user, repeating, later):
            client.ask("getFileInfo", INFO)
        repeating.ask("delete", DELETE, retry=3)
        for client in (other_client, other_user, repeating, later):
            assert client.ask("getFileInfo", INFO, call_id=5).call_id == 5


class Connection:
    def __init__(self, number: int) -> None:
        self.number = number
        self.lineage: Lineage | None = None


def test_nothing_is_kept_of_connections_that_left() -> None:
    lineages: Lineages[Connection] = Lineages()
    lineage = (b"c", "u", "p")
    one, two = Connection(1), Connection(2)
    assert lineages.carries(one, lineage) and lineages.carries(two, lineage)
    assert lineages.repeats(two) == [one] and lineages.repeats(two) == []
    for connection in (one, two):
        lineages.left(connection)
    assert not lineages._connections
    for number in range(10_100):
        connection = Connection(number)
        lineages.carries(connection, (b"%d" % number, "u", "p"))
        lineages.repeats(connection)
        lineages.left(connection)
    assert len(lineages._fences) <= 10_000
