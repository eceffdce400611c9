"""Safe mode: until the datanodes have said what they hold, nothing is changed, copied or deleted.

Entered at start when there are blocks at all. Left when nearly every block has a reported replica;
or, because a lost block must not stop everything else for ever, when every datanode known to the
namespace has reported, or when nothing new has been reported for a while. If blocks are missing
then, datanodes are told to delete nothing for an hour, or until the blocks are there (or their
files are deleted): a replica that seems to be one too many may turn out to be the last.

An operator may enter it (then it stays) or leave it. The safe mode of a start ends soon, so changes
wait for its end before they are refused. Changes are refused as well while the disk under the
journal has no room, so that an edit, once decided, cannot fail.
"""

from __future__ import annotations

from clusterkit.effects import Instant
from minihdfs.errors import SafeMode, StartingUp
from minihdfs.namenode.core.blocks.blocks import Blocks
from minihdfs.namenode.core.commands import Refusal
from minihdfs.namenode.core.datanodes.datanodes import Datanodes
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.parking import SAFE_MODE_ENDS, STORE_CATCHES_UP, Waits

THRESHOLD_PER_MILLE = 999
NAMES_SHOWN = 3


class Safemode:
    def __init__(self, options: Options, blocks: Blocks, datanodes: Datanodes) -> None:
        self._options, self._blocks, self._datanodes = options, blocks, datanodes
        self.on = False
        self.by_hand = False
        self.left_us = 0
        self.no_space = self.store_lags = ""
        self._first_us = 0
        """When the first datanode came; `_news_us`: when one said something new last."""
        self._news_us = 0
        self._barred_until_us = 0

    def start(self, now: Instant) -> None:
        self.on, self.by_hand, self.left_us = True, False, now.mono_us
        self._first_us = self._news_us = 0
        self.look(now)

    def enter(self) -> None:
        self.on = self.by_hand = True

    def leave(self, now: Instant) -> None:
        self.on = self.by_hand = False
        self.left_us = now.mono_us
        if not self._is_enough():
            self._barred_until_us = now.mono_us + self._options.deletions_barred_us

    def news(self, now: Instant) -> None:
        """A datanode registered, or said more of what it holds, that had not reported before."""
        self._news_us = now.mono_us
        self._first_us = self._first_us or now.mono_us

    def credit(self, pause_us: int) -> None:
        """This process was paused: nobody could report meanwhile. What has not begun yet stays
        so."""
        if self._first_us:
            self._first_us += pause_us
            self._news_us += pause_us
        if self._barred_until_us:
            self._barred_until_us += pause_us

    def look(self, now: Instant) -> None:
        """Leaves when enough has been reported, or no more is to be expected."""
        if self.on and not self.by_hand and (self._is_enough() or self._is_all(now)):
            self.leave(now)

    def _is_enough(self) -> bool:
        return self._blocks.reported * 1000 >= self._blocks.complete_total * THRESHOLD_PER_MILLE

    def _is_all(self, now: Instant) -> bool:
        if not self._datanodes.have_reported:
            return False  # without a single datanode there is nothing to leave for
        if not self._datanodes.awaited:
            return True
        quiet, long = self._options.safemode_quiet_us, self._options.safemode_longest_us
        return now.mono_us - self._news_us >= quiet or now.mono_us - self._first_us >= long

    @property
    def starting(self) -> bool:
        """On, and about to end by itself."""
        return self.on and not self.by_hand

    @property
    def may_edit(self) -> bool:
        """May the namenode change something of its own accord?"""
        return not self.on and not self.no_space and not self.store_lags

    def may_delete(self, now: Instant) -> bool:
        """May datanodes be told to delete replicas?"""
        return not self.on and (now.mono_us >= self._barred_until_us or self._is_enough())

    def require_off(self, what: str) -> None:
        """Raises SafeMode, or Waits for what ends by itself (StartingUp when it does not in
        time)."""
        if self.no_space:
            raise SafeMode(f"Cannot {what}. {self.no_space}", next_command="df -h")
        if self.store_lags:
            raise Waits(STORE_CATCHES_UP, Refusal(StartingUp, f"Cannot {what}. {self.store_lags}"))
        if not self.on:
            return
        if self.by_hand:
            raise SafeMode(
                f"Cannot {what}. Name node is in safe mode: an operator turned it on; `hdfs "
                "dfsadmin -safemode leave` ends it."
            )
        raise Waits(SAFE_MODE_ENDS, Refusal(StartingUp, f"Cannot {what}. {self.reason()}"))

    def reason(self) -> str:
        """Why it is on, what would end it, which command shows more."""
        blocks, nodes = self._blocks, self._datanodes
        said = (
            f"Name node is in safe mode: {blocks.reported} of {blocks.complete_total} blocks "
            f"have been reported, {blocks.missing} not"
        )
        if not nodes.have_reported:
            who = "no datanode has reported yet"
        else:
            names = sorted(nodes.awaited)
            more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
            who = f"awaited: datanode {', '.join(names[:NAMES_SHOWN])}{more}"
        future = (
            f"; {len(blocks.future)} blocks have ids that this namespace never gave: is it an "
            "older copy?"
            if blocks.future
            else ""
        )
        ends = (
            f"it ends at {THRESHOLD_PER_MILLE / 10} %, or "
            f"{self._options.safemode_quiet_us / 1e6:g} s after the last datanode's report"
        )
        return f"{said} ({who}){future}; {ends}; `mrc status` shows the datanodes."
