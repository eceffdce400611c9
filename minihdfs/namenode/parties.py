"""Who is at the other end of a connection, as far as the kernel knows it: the parties among whom
turns and connections are divided.

A user name is whatever its client says, so it divides nothing that matters. A caller on this
machine is the uid that owns its socket, whichever of the machine's addresses it came from (all of
127.0.0.0/8 is free to choose from); any other is its address, of IPv6 the network of 64 bits, which
is what one host is given.

The kernel is asked for that one socket (NETLINK_SOCK_DIAG; sock_diag(7)), once per connection, some
ten microseconds however many there are. Where it may not be asked, the address alone counts.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from contextlib import suppress

_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _REQUEST = 4, 20, 1
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ASKED = struct.Struct("=BBBBI")  # family, protocol, what else to tell, -, states
_PORTS = struct.Struct(">HH")
_TOLD = struct.Struct("=BBBB 48s IIIII")  # family, state, -, -, socket, -, -, -, uid, inode
_NO_COOKIE = struct.pack("=I", 0) + b"\xff" * 8  # of any interface
_LISTENS = 10


class Parties:
    """Owned by one thread."""

    def __init__(self) -> None:
        self._kernel: socket.socket | None = None
        self._asked = 0
        with suppress(OSError):
            self._kernel = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _SOCK_DIAG
            )
            self._kernel.connect((0, 0))

    def of(self, sock: socket.socket, host: str) -> str:
        """The party at the other end of `sock`, whose address is `host`. Raises nothing."""
        uid = None
        with suppress(OSError, struct.error):
            uid = self._owner(sock)
        return address_party(host) if uid is None else f"uid {uid}"

    def close(self) -> None:
        if self._kernel is not None:
            self._kernel.close()

    def _owner(self, sock: socket.socket) -> int | None:
        """None where it is no process of this machine. Raises OSError when the peer is gone."""
        if self._kernel is None:
            return None
        peer, own = sock.getpeername(), sock.getsockname()
        ends = b"".join(
            socket.inet_pton(sock.family, end[0]).ljust(16, b"\0") for end in (peer, own)
        )
        body = _ASKED.pack(sock.family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF)
        body += _PORTS.pack(peer[1], own[1]) + ends + _NO_COOKIE
        self._asked = (self._asked + 1) & 0xFFFFFFFF
        header = _HEADER.pack(
            _HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST, self._asked, 0
        )
        self._kernel.send(header + body)
        while True:
            said = self._kernel.recv(4096)  # the kernel has answered by now
            _, kind, _, sequence, _ = _HEADER.unpack_from(said)
            if sequence == self._asked:
                break
        if kind != _SOCK_DIAG_BY_FAMILY:
            return None
        told = _TOLD.unpack_from(said, _HEADER.size)
        # A listener that only has the port of a distant peer is nobody's end, and a socket that was
        # closed meanwhile belongs to nobody: the kernel says uid 0 of it.
        return int(told[-2]) if told[1] != _LISTENS and told[-1] else None


def address_party(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.is_loopback:
        return "this machine"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address_party(str(address.ipv4_mapped))
        if not address.is_link_local:  # there the network is everybody's
            return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
