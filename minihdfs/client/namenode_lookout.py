"""Who leads now, asked of several namenodes at once: for a call whose answer does not come.

A frozen process keeps its TCP connections: nothing ever tells the client that another one leads
meanwhile. So an address that is silent is asked, and the others with it, on connections of their
own and for a short while; nobody's answer is waited for longer than that.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

from google.protobuf.message import DecodeError

from minihdfs.pb import mrcluster_namenode_pb2 as own
from minihdfs.wire import hadoop_rpc
from minihdfs.wire.hadoop_rpc import OWN_PROTOCOL, ClientConnection, MalformedRpc

LIMIT_S = 1.0


class Seen(NamedTuple):
    """`epochs`: of each address that answered, the epoch it leads with; 0 = it does not lead."""

    epochs: dict[str, int]

    def better_than(self, address: str) -> str:
        """Where to go instead: who leads with a higher epoch than `address` says of itself; or,
        when `address` says nothing at all, anybody who does. "" = nowhere."""
        others = {epoch: other for other, epoch in self.epochs.items() if other != address}
        if not others:
            return ""
        best = max(others)
        if best > self.epochs.get(address, 0) or address not in self.epochs:
            return others[best]
        return ""


def look_around(addresses: Sequence[str], user: str, limit_s: float = LIMIT_S) -> Seen:
    """Never raises: whoever cannot be reached or understood has not answered."""
    until_s, epochs = time.monotonic() + limit_s, dict[str, int]()
    frame = hadoop_rpc.encode_opening(user, os.urandom(16)) + hadoop_rpc.encode_call(
        0, os.urandom(16), 0, OWN_PROTOCOL, "whoLeads", own.WhoLeadsRequest()
    )
    with selectors.DefaultSelector() as selector:
        for address in addresses:
            sock = _connecting(address)
            if sock is not None:
                selector.register(sock, selectors.EVENT_WRITE, (address, ClientConnection()))
        try:
            while selector.get_map() and (left_s := until_s - time.monotonic()) > 0:
                for key, mask in selector.select(left_s):
                    _go_on(selector, key, mask, frame, epochs)
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
    return Seen(epochs)


def _connecting(address: str) -> socket.socket | None:
    host, _, port = address.rpartition(":")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM
        )[0]
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        sock.connect_ex(where)
    except (OSError, ValueError):
        return None
    return sock


def _go_on(
    selector: selectors.BaseSelector,
    key: selectors.SelectorKey,
    mask: int,
    frame: bytes,
    epochs: dict[str, int],
) -> None:
    sock: socket.socket = key.fileobj  # type: ignore[assignment]
    address, wire = key.data
    try:
        if mask & selectors.EVENT_WRITE:
            sock.send(frame)  # a few hundred bytes: a fresh connection takes them whole, or is none
            selector.modify(sock, selectors.EVENT_READ, key.data)
            return
        data = sock.recv(64 << 10)
        replies = wire.feed(data) if data else []
        if data and not replies:
            return
        for reply in replies:
            understood = reply.status == hadoop_rpc.SUCCESS
            epochs[address] = (
                own.WhoLeadsResponse.FromString(reply.payload).epoch if understood else 0
            )
    except (OSError, MalformedRpc, DecodeError):
        pass
    selector.unregister(sock)
    sock.close()
