"""The connections of one listener: how many there may be, how long one may dawdle, and which ends
when there are too many.

There is always room for one that wants something: first ends the one that has been idle longest (it
has said nothing, or is between two operations; its client makes another with its next one), of the
newcomer's own host when that has more than its share; then the one whose operation has not moved
for longest, if that is long. What moves is never ended for a newcomer. A connection takes a thread
and up to four descriptors, so the limit also follows from how many of those this process may have;
some are kept for everything else.
"""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections import Counter
from contextlib import suppress

RESERVED_DESCRIPTORS = 128
DESCRIPTORS_EACH = 4  # the connection, the next datanode's, a block file and its checksum file
STALLED_S = 10.0
PER_HOST = 0.75


class Guest:
    """One connection. Its own thread says what it does."""

    def __init__(self, sock: socket.socket, host: str) -> None:
        self.socket, self.host = sock, host
        self.works = False
        self.moved_s = time.monotonic()

    def waits(self) -> None:
        """Between two operations."""
        self.works, self.moved_s = False, time.monotonic()

    def moves(self) -> None:
        """Within an operation that gets on."""
        self.works, self.moved_s = True, time.monotonic()


class Guests:
    """Thread-safe."""

    def __init__(self, most: int) -> None:
        self.most = min(most, affordable())
        self.most_per_host = max(1, int(self.most * PER_HOST))
        self._lock = threading.Lock()
        self._here: dict[Guest, threading.Thread] = {}
        self._hosts: Counter[str] = Counter()
        self._closed = False

    def admit(self, guest: Guest, thread: threading.Thread) -> bool:
        """False when no room could be made."""
        with self._lock:
            if self._closed:
                return False
            own = self._hosts[guest.host] >= self.most_per_host
            if own or len(self._here) >= self.most:
                spare = self._least_missed(guest.host if own else None)
                if spare is None:
                    return False
                self._end(spare)
            self._here[guest] = thread
            self._hosts[guest.host] += 1
            return True

    def make_room(self) -> None:
        """Descriptors ran out all the same: one ends."""
        with self._lock:
            spare = self._least_missed(None)
            if spare is not None:
                self._end(spare)

    def left(self, guest: Guest) -> None:
        with self._lock:
            self._forget(guest)

    def close(self) -> list[threading.Thread]:
        """Ends them all; returns their threads."""
        with self._lock:
            self._closed = True
            threads = list(self._here.values())
            for guest in list(self._here):
                self._end(guest)
        return threads

    def __len__(self) -> int:
        return len(self._here)

    def _least_missed(self, host: str | None) -> Guest | None:
        candidates = [guest for guest in self._here if host in (None, guest.host)]
        oldest = min(candidates, key=lambda guest: (guest.works, guest.moved_s), default=None)
        if oldest is None or (oldest.works and time.monotonic() - oldest.moved_s < STALLED_S):
            return None
        return oldest

    def _end(self, guest: Guest) -> None:
        self._forget(guest)
        with suppress(OSError):
            guest.socket.shutdown(socket.SHUT_RDWR)  # its thread wakes, and closes it

    def _forget(self, guest: Guest) -> None:
        if self._here.pop(guest, None) is not None:
            self._hosts[guest.host] -= 1
            if not self._hosts[guest.host]:
                del self._hosts[guest.host]


def affordable() -> int:
    """Connections that this process has descriptors for."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        return 1 << 20
    return max(
        8, (descriptors - RESERVED_DESCRIPTORS) // (DESCRIPTORS_EACH + 2)
    )  # the other two listeners' need one or three
