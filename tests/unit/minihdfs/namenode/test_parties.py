"""Whom a connection is counted for: what the kernel says of its other end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from minihdfs.namenode.parties import Parties, address_party


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.7.6"])
def test_who_connects_from_this_machine_is_a_uid_from_whatever_address(host: str) -> None:
    parties = Parties()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address, 10, (host, 0)):
            sock, peer = listener.accept()
            assert parties.of(sock, peer[0]) == f"uid {os.getuid()}"
            sock.close()
    parties.close()


def test_nobody_becomes_another_by_having_left() -> None:
    """Of a socket without an owner the kernel says uid 0, root's."""
    parties = Parties()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        socket.create_connection(listener.getsockname(), 10).close()
        sock, peer = listener.accept()
        assert parties.of(sock, peer[0]) == "this machine"
        sock.close()
    parties.close()


def test_another_user_of_this_machine_is_another_party() -> None:
    parties = Parties()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        uid = os.getuid() or 65534  # only root becomes another
        become = f"import os, socket; os.setuid({uid}); s = socket.socket()"
        program = f"{become}; s.connect(('127.0.0.1', {port})); s.recv(1)"
        with subprocess.Popen([sys.executable, "-S", "-c", program]) as child:
            listener.settimeout(10)
            sock, peer = listener.accept()
            assert parties.of(sock, peer[0]) == f"uid {uid}"
            sock.close()
            child.wait(10)
    parties.close()


@pytest.mark.parametrize(
    ("host", "party"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("127.0.0.9", "this machine"),
        ("::1", "this machine"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::1"),
        ("a name", "a name"),
    ],
)
def test_any_other_is_its_address_or_its_network(host: str, party: str) -> None:
    assert address_party(host) == party


def test_where_the_kernel_may_not_be_asked_the_address_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "AF_NETLINK", 999)
    parties = Parties()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), 10),
    ):
        sock, peer = listener.accept()
        assert parties.of(sock, peer[0]) == "this machine"
        sock.close()
    parties.close()
