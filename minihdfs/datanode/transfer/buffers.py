"""How many bytes the buffers of all streams may take together. Sizes are announced by peers, so
they are counted before memory is taken.

What everybody needs is small and not counted. Above that a writer waits a moment for others to end,
then is refused; a reader is served in smaller packets.
"""

from __future__ import annotations

import threading

from minihdfs.wire.data_transfer import WireError

FREE_BYTES = 128 << 10
"""Of each buffer: enough for the smallest packets. As many as there are connections."""
PATIENCE_S = 5.0


class Buffers:
    """Thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._taken = 0
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        """Raises WireError when there is no room for a while."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._taken + size <= self._limit, PATIENCE_S):
                raise WireError(
                    f"no room for a packet of {size} bytes: packets under way hold {self._taken} "
                    f"of {self._limit} bytes"
                )
            self._taken += size

    def try_take(self, size: int) -> bool:
        with self._changed:
            if self._taken + size > self._limit:
                return False
            self._taken += size
            return True

    def give(self, size: int) -> None:
        with self._changed:
            self._taken -= size
            self._changed.notify_all()

    @property
    def taken(self) -> int:
        return self._taken
