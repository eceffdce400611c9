"""Framing of the socket that passes block files' descriptors."""

from __future__ import annotations

import pytest

from minihdfs.wire import local_fd
from minihdfs.wire.data_transfer import WireError


def test_requests_and_replies_survive_the_wire() -> None:
    request = local_fd.FdRequest(1 << 50, 7)
    assert local_fd.decode_request(local_fd.encode_request(request)) == request
    frame = local_fd.encode_fd_reply(
        local_fd.FdReply(local_fd.OK, 2, 65536, 30, 1 << 33, "why nöt")
    )
    reply, reason_bytes = local_fd.decode_fd_reply(frame[: local_fd.REPLY_BYTES])
    assert reply == local_fd.FdReply(local_fd.OK, 2, 65536, 30, 1 << 33)
    assert frame[local_fd.REPLY_BYTES :] == "why nöt".encode()
    assert len(frame) - local_fd.REPLY_BYTES == reason_bytes


def test_strangers_are_refused() -> None:
    with pytest.raises(WireError):
        local_fd.decode_request(
            b"GET / HTTP/1.1\r\nHost: x"[: local_fd.REQUEST_BYTES].ljust(local_fd.REQUEST_BYTES)
        )
    with pytest.raises(WireError):
        local_fd.decode_fd_reply(b"\0" * local_fd.REPLY_BYTES)
