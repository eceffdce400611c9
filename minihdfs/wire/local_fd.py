"""How a client asks a datanode on its own machine for an open block file: framing of the unix
socket that passes descriptors, sans-IO.

The socket is `DatanodeAddress.domain_socket` (SOCK_STREAM). Any number of requests follow each
other on one connection:

    request  "MRFD" | version | block id | stamp                     (REQUEST_BYTES)
    reply    "MRFD" | status | checksum type | reason bytes | bytes per checksum | checksum offset
             | block length, then the reason in UTF-8

With status OK the reply carries two descriptors (SCM_RIGHTS), open for reading: the block file and
its checksum file, whose CRCs (4 bytes, big-endian, one per chunk) begin at `checksum offset`. Only
finalized replicas are given out; for any other the client reads over TCP. Bytes are verified by the
client as on every read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from minihdfs.wire.data_transfer import WireError

MAGIC = b"MRFD"
VERSION = 1
OK, NOT_HERE, NOT_FINALIZED, REFUSED = 0, 1, 2, 3
DESCRIPTORS = 2
_REQUEST = struct.Struct(">4sB3xQQ")
_REPLY = struct.Struct(">4sBBHIIQ")
REQUEST_BYTES, REPLY_BYTES = _REQUEST.size, _REPLY.size
MAX_REASON_BYTES = 1024


@dataclass(frozen=True, slots=True)
class FdRequest:
    block_id: int
    stamp: int


@dataclass(frozen=True, slots=True)
class FdReply:
    status: int
    checksum_type: int = 0
    bytes_per_checksum: int = 0
    checksum_offset: int = 0
    length: int = 0
    reason: str = ""


def encode_request(request: FdRequest) -> bytes:
    return _REQUEST.pack(MAGIC, VERSION, request.block_id, request.stamp)


def decode_request(data: bytes | memoryview) -> FdRequest:
    """Raises WireError."""
    magic, version, block_id, stamp = _REQUEST.unpack(data)
    if magic != MAGIC or version != VERSION:
        raise WireError(f"descriptor request begins with {magic!r} version {version}")
    return FdRequest(block_id, stamp)


def encode_fd_reply(reply: FdReply) -> bytes:
    reason = reply.reason.encode()[:MAX_REASON_BYTES]
    fixed = (
        MAGIC,
        reply.status,
        reply.checksum_type,
        len(reason),
        reply.bytes_per_checksum,
        reply.checksum_offset,
        reply.length,
    )
    return _REPLY.pack(*fixed) + reason


def decode_fd_reply(data: bytes | memoryview) -> tuple[FdReply, int]:
    """The first REPLY_BYTES: the reply without its reason, and how many bytes of reason follow.
    Raises WireError."""
    magic, status, kind, reason_bytes, per_checksum, offset, length = _REPLY.unpack(data)
    if magic != MAGIC or reason_bytes > MAX_REASON_BYTES:
        raise WireError(f"descriptor reply begins with {magic!r}")
    return FdReply(status, kind, per_checksum, offset, length), reason_bytes
