"""Safe mode: until nearly every block has a reported replica, nothing is changed, copied or deleted.

Entered at start when there are blocks at all, left at 99.9 %; an operator may enter it (then it stays) or leave it. The safe mode of a
start ends soon, so changes wait for its end before they are refused. Changes are refused as well while the disk under the journal has no
room, so that an edit, once decided, cannot fail.
"""

from __future__ import annotations

from clusterkit.effects import Instant
from minihdfs.errors import SafeMode, StartingUp
from minihdfs.namenode.core.blocks import Blocks
from minihdfs.namenode.core.commands import Refusal
from minihdfs.namenode.core.parking import SAFE_MODE_ENDS, Waits

THRESHOLD_PER_MILLE = 999


class Safemode:
    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self.on = False
        self.by_hand = False
        self.left_us = 0
        self.no_space = ""

    def start(self, now: Instant) -> None:
        self.on, self.by_hand, self.left_us = True, False, now.mono_us
        self.look(now)

    def enter(self) -> None:
        self.on = self.by_hand = True

    def leave(self, now: Instant) -> None:
        self.on = self.by_hand = False
        self.left_us = now.mono_us

    def look(self, now: Instant) -> None:
        """Leaves when enough has been reported."""
        if self.on and not self.by_hand and self._blocks.reported * 1000 >= self._blocks.complete_total * THRESHOLD_PER_MILLE:
            self.leave(now)

    @property
    def starting(self) -> bool:
        """On, and about to end by itself."""
        return self.on and not self.by_hand

    def require_off(self, what: str) -> None:
        """Raises SafeMode, or Waits for the end of one that ends by itself (StartingUp when it does not)."""
        if self.no_space:
            raise SafeMode(f"Cannot {what}. {self.no_space}", next_command="df -h")
        if not self.on:
            return
        if self.by_hand:
            raise SafeMode(f"Cannot {what}. Name node is in safe mode: an operator turned it on; `hdfs dfsadmin -safemode leave` ends it.")
        late = (
            f"Cannot {what}. Name node is in safe mode: {self._blocks.reported} of {self._blocks.complete_total} blocks have been "
            f"reported, it leaves at {THRESHOLD_PER_MILLE / 10} %."
        )
        raise Waits(SAFE_MODE_ENDS, Refusal(StartingUp, late))
