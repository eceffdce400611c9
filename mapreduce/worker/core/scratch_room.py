"""Whether this worker's scratch disk has room for another task, in words for people.

Below the reserve the worker offers no slots; it does again when there is clearly more, so that a
disk that fills and empties around the reserve does not change the answer with every measurement.
What runs already goes on: it may need little, and its own failure says it if not.
"""

from __future__ import annotations

from mapreduce.worker.core.events import RoomMeasured

RESERVE_BYTES = 64 << 20
"""What one task sets aside at once is a sort buffer of this order: with less, it most likely
fails."""


class ScratchRoom:
    def __init__(self, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._reserve_bytes = reserve_bytes
        self.no_room = ""  # why there is none; "" = there is, or nothing was measured yet

    def measured(self, event: RoomMeasured) -> bool:
        """True when there has begun to be room, or ceased to be. The words tell what was measured
        then: they are not said anew with every byte."""
        before = bool(self.no_room)
        enough = self._reserve_bytes + (self._reserve_bytes // 2 if before else 0)
        if event.free_bytes >= enough:
            self.no_room = ""
        elif not before:
            self.no_room = (
                f"the disk at {event.disk} is full: {event.path}, where tasks set things aside, "
                f"has {_mib(event.free_bytes)} of {_mib(event.total_bytes)} MiB free, and "
                f"worker.reserved_bytes is {_mib(self._reserve_bytes)} MiB; try: {event.look}"
            )
        return bool(self.no_room) != before


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f}"
