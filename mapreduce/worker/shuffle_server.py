"""Serves segments of finished tasks' outputs to tasks that read them, over framed TCP, from the
page cache to the socket without a copy.

What may be served is a table that the worker fills: (job, attempt) → data file and segment
table. A name from the wire is only ever looked up in it; what is not there is answered "not here",
which is distinct from not being reached. One thread per connection, a bounded number of them
(`shuffle_peers`); a peer that neither asks nor reads is dropped.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from clusterkit.errors import ClusterError, CorruptRecord
from clusterkit.listening import listen
from mapreduce.model import FRAMES
from mapreduce.wire.shuffle import (
    NOT_HERE,
    OK,
    REFUSED,
    REQUEST_HEAD,
    ReplyHead,
    SegmentRequest,
    encode_reply,
    name_lengths,
)
from mapreduce.worker.shuffle_peers import Peer, Peers

MAX_CONNECTIONS = 256
IDLE_S = 60.0
ACCEPT_AGAIN_S = 0.1
PIECE_BYTES = 256 << 10  # sent between two looks at whether the peer still takes anything
_log = logging.getLogger(__name__)


class SegmentPlace(NamedTuple):
    offset: int
    length: int
    crc32c: int


class ServedOutput(NamedTuple):
    data_path: Path
    segments: Sequence[SegmentPlace]
    codec: int = FRAMES


class ShuffleServer:
    def __init__(
        self,
        host: str,
        port: int,
        read_output: Callable[[str, str], ServedOutput],
        most: int = MAX_CONNECTIONS,
    ) -> None:
        """Listens at once (port 0: any). `read_output(job_id, attempt_id)` reads a finished
        output's segment table from the disk."""
        self._read_output = read_output
        self._outputs: dict[tuple[str, str], ServedOutput] = {}
        self._peers = Peers(most)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener = listen(host, port)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="shuffle", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._peers.end_all()

    # ── what may be served ──

    def offer(self, job_id: str, attempt_id: str) -> None:
        try:
            served = self._read_output(job_id, attempt_id)
        except (
            OSError,
            ClusterError,
        ) as error:  # readers hear "not here" and the task is done again
            _log.warning("the output of %s cannot be served: %s", attempt_id, error)
            return
        with self._lock:
            self._outputs[job_id, attempt_id] = served

    def withdraw(self, job_id: str, attempt_id: str = "") -> None:
        """One attempt's output, or every output of the job."""
        with self._lock:
            for key in [
                key for key in self._outputs if key[0] == job_id and attempt_id in ("", key[1])
            ]:
                del self._outputs[key]

    # ── serving ──

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self._listener.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return
                _log.warning(
                    "a shuffle connection could not be accepted: %s", error
                )  # of one peer, or for want of descriptors: it passes
                self._stopping.wait(ACCEPT_AGAIN_S)
                continue
            peer = Peer(connection, address[0])
            if not self._peers.admit(peer):
                connection.close()  # the reduce tries again a little later
                continue
            threading.Thread(
                target=self._serve, args=(peer,), name="shuffle-connection", daemon=True
            ).start()

    def _serve(self, peer: Peer) -> None:
        connection = peer.connection
        connection.settimeout(IDLE_S)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (request := _read_request(connection)) is not None:
                self._answer(peer, request)
                peer.waits()
        except CorruptRecord as error:
            _log.warning("shuffle connection dropped: %s", error)
        except OSError:
            pass  # the peer went away, or stopped reading
        finally:
            self._peers.left(peer)
            connection.close()

    def _answer(self, peer: Peer, request: SegmentRequest) -> None:
        connection = peer.connection
        peer.moves()
        with self._lock:
            output = self._outputs.get((request.job_id, request.attempt_id))
        if output is None:
            _refuse(
                connection, NOT_HERE, f"{request.attempt_id} of {request.job_id} has no output here"
            )
            return
        if request.partition >= len(output.segments):
            _refuse(
                connection,
                REFUSED,
                f"{request.attempt_id} has {len(output.segments)} partitions, not "
                f"{request.partition + 1}",
            )
            return
        place = output.segments[request.partition]
        try:
            file = output.data_path.open("rb")
        except OSError as error:
            _refuse(connection, NOT_HERE, f"{request.attempt_id}: {error}")
            return
        with file:
            if os.fstat(file.fileno()).st_size < place.offset + place.length:
                _refuse(
                    connection,
                    NOT_HERE,
                    f"{request.attempt_id}: its file is shorter than its table says",
                )
                return
            connection.sendall(
                encode_reply(ReplyHead(OK, place.length, place.crc32c, output.codec))
            )
            for done in range(0, place.length, PIECE_BYTES):
                size = min(PIECE_BYTES, place.length - done)
                if connection.sendfile(file, place.offset + done, size) != size:
                    raise OSError("the output shrank while it was sent")
                peer.moves()


def _refuse(connection: socket.socket, status: int, reason: str) -> None:
    text = reason.encode()[:1_000]
    connection.sendall(encode_reply(ReplyHead(status, len(text), 0)) + text)


def _read_request(connection: socket.socket) -> SegmentRequest | None:
    """None when the peer has nothing more to ask."""
    head = _read_exactly(connection, REQUEST_HEAD.size)
    if not head:
        return None
    job_length, attempt_length, partition = name_lengths(head)
    names = _read_exactly(connection, job_length + attempt_length)
    try:
        return SegmentRequest(
            names[:job_length].decode("ascii"), names[job_length:].decode("ascii"), partition
        )
    except UnicodeDecodeError as error:
        raise CorruptRecord(f"not a shuffle request: {error}") from error


def _read_exactly(connection: socket.socket, length: int) -> bytes:
    """Empty when the stream ends before the first byte."""
    data = bytearray()
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            if data:
                raise CorruptRecord("a shuffle request was cut off")
            return b""
        data += more
    return bytes(data)
