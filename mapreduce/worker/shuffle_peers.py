"""The connections of the shuffle server: how many there may be, and which one ends when there are
too many.

There is room for a reduce that wants something: first ends the one that has waited longest between
two requests (a reduce whose idle connection ends makes another), of the newcomer's own host where
that has its share; then the one whose peer has not taken anything of its segment for `STALLED_S`.
What moves is never ended for a newcomer. Thread-safe.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

STALLED_S = 10.0


class Peer:
    """One connection; its own thread says what it does."""

    def __init__(
        self, connection: socket.socket, host: str, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.connection, self.host, self._now_s = connection, host, now_s
        self.works, self.moved_s = False, now_s()

    def waits(self) -> None:
        self.works, self.moved_s = False, self._now_s()

    def moves(self) -> None:
        self.works, self.moved_s = True, self._now_s()


class Peers:
    def __init__(self, most: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._most, self._most_of_a_host, self._now_s = most, max(1, most * 3 // 4), now_s
        self._here: dict[
            Peer, None
        ] = {}  # in the order in which they came: among equals the first ends
        self._lock = threading.Lock()

    def admit(self, peer: Peer) -> bool:
        """False when nobody can end for it."""
        with self._lock:
            own = [other for other in self._here if other.host == peer.host]
            crowd = (
                own
                if len(own) >= self._most_of_a_host
                else self._here
                if len(self._here) >= self._most
                else ()
            )
            if crowd:
                oldest = min(crowd, key=lambda other: (other.works, other.moved_s))
                if oldest.works and self._now_s() - oldest.moved_s < STALLED_S:
                    return False
                self._end(oldest)
            self._here[peer] = None
            return True

    def left(self, peer: Peer) -> None:
        with self._lock:
            self._here.pop(peer, None)

    def end_all(self) -> None:
        with self._lock:
            for peer in list(self._here):
                self._end(peer)

    def _end(self, peer: Peer) -> None:
        self._here.pop(peer, None)
        with contextlib.suppress(OSError):
            peer.connection.shutdown(socket.SHUT_RDWR)  # its thread wakes, and closes it
