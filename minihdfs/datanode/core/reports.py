"""What the namenode still has to be told of this datanode's replicas: changes, bad ones, and full
reports in chunks.

Reports leave one at a time, and one that got no answer is repeated word for word before the next:
so the namenode meets our changes in the order they happened, and a chunk of a full report never
overtakes a deletion that came after it was built. A full report is a walk over the replica map, not
a photograph: each chunk is read from the map when it leaves, and what was received after the walk
began has a higher sequence than `begun_sequence`, by which the namenode knows not to miss it in the
list. A replica known to be bad is listed as bad: a namenode that has never heard of it must not
take it for sound for one moment.
"""

from __future__ import annotations

from dataclasses import replace

from minihdfs.datanode.core.events import Changes, FoundBad, FullReportChunk, Report
from minihdfs.model import BlockRef, CopyEnded

UNFINISHED_MAX = 10_000
"""Leftovers named in one full report; those beyond it have their turn when these are gone."""


class Reports:
    def __init__(self, uuid: str, chunk_replicas: int) -> None:
        self._uuid, self._chunk_replicas = uuid, chunk_replicas
        self.replicas: dict[int, BlockRef] = {}
        self.unfinished: dict[
            int, BlockRef
        ] = {}  # left by dead writers: not replicas, but the namenode decides whether they go
        self.bad: dict[int, BlockRef] = {}
        self._changed: dict[
            int, tuple[bool, BlockRef]
        ] = {}  # block id -> (received, block): only the last word of each counts
        self._copied: list[CopyEnded] = []
        self._bad_untold: dict[int, BlockRef] = {}
        self._sequence = 0
        self._report_id = 0
        self._walk: list[int] | None = (
            None  # ids still to be listed, in order; None when no full report is under way
        )
        self._chunk = 0
        self._begun_sequence = 0
        self._unanswered: Report | None = None
        self.complete = False  # a full report was taken in whole under the present registration

    # ── facts ─────────────────────────────────────────────────────────────────────────────────────

    def list(self, replicas: tuple[BlockRef, ...], bad: tuple[BlockRef, ...] = ()) -> None:
        for block in replicas:
            self.replicas[block.id] = block
        for block in bad:
            self.found_bad(block)

    def left(self, block: BlockRef) -> None:
        if block.id not in self.replicas:
            self.unfinished[block.id] = block

    def received(self, block: BlockRef) -> bool:
        """False for a replica older than the one we hold."""
        self.unfinished.pop(block.id, None)
        held = self.replicas.get(block.id)
        if held is not None and held.stamp > block.stamp:
            return False
        self.replicas[block.id] = block
        self.bad.pop(block.id, None)
        self._bad_untold.pop(block.id, None)
        self._change(True, block)
        return True

    def forget(self, block: BlockRef) -> None:
        """Out of the map, so that it is neither reported nor copied; `deleted` follows when the
        store has let go of it too."""
        held = self.replicas.get(block.id)
        if held is not None and held.stamp <= block.stamp:
            del self.replicas[block.id]
            self.bad.pop(block.id, None)
            self._bad_untold.pop(block.id, None)

    def not_held(self, block: BlockRef) -> None:
        """The namenode believes that we have a replica which we have not; what a writer left of it
        may still be here."""
        self._change(False, block)

    def deleted(self, block: BlockRef) -> None:
        self.forget(block)
        left = self.unfinished.get(block.id)
        if left is not None and left.stamp <= block.stamp:
            del self.unfinished[block.id]
        if (
            block.id not in self.replicas
        ):  # a newer replica of the same block is here: the namenode has been told of that one
            self._change(False, block)

    def found_bad(self, block: BlockRef) -> bool:
        """False for a replica that is not ours."""
        held = self.replicas.get(block.id)
        if held is None or held.stamp != block.stamp:
            return False
        self.bad[block.id] = self._bad_untold[block.id] = held
        return True

    def copied(self, ended: CopyEnded) -> None:
        """Lost with a registration: whoever knows the copy forgets it then."""
        self._copied.append(ended)

    def _change(self, received: bool, block: BlockRef) -> None:
        self._changed.pop(block.id, None)
        self._changed[block.id] = received, block

    # ── what leaves ───────────────────────────────────────────────────────────────────────────────

    def begin_full_report(self) -> None:
        self._walk = sorted(self.replicas)
        self._chunk = 0
        self._report_id += 1
        self._begun_sequence = self._sequence

    @property
    def full_report_under_way(self) -> bool:
        return self._walk is not None

    def restart(self) -> None:
        """A new registration: what was not answered is told anew, and a full report begins."""
        if isinstance(self._unanswered, Changes):
            for block in self._unanswered.received:
                self._changed.setdefault(block.id, (True, block))
            for block in self._unanswered.deleted:
                self._changed.setdefault(block.id, (False, block))
        self._unanswered = None
        self._copied = []
        self._bad_untold = {}  # the full report flags them
        self.complete = False
        self.begin_full_report()

    def next(self, call: int, registration_id: int) -> Report | None:
        """The message to send now, numbered `call`: the unanswered one again, else changes, else
        bad ones, else the next chunk."""
        if self._unanswered is not None:
            self._unanswered = replace(self._unanswered, call=call, registration_id=registration_id)
        else:
            self._unanswered = self._form(call, registration_id)
        return self._unanswered

    def _form(self, call: int, registration_id: int) -> Report | None:
        if self._changed or (
            self._copied and not self._bad_untold
        ):  # a copy that failed because its source is bad is told after that
            some = 0 if self._bad_untold else self._chunk_replicas
            copied, self._copied = tuple(self._copied[:some]), self._copied[some:]
            ids = list(self._changed)[: self._chunk_replicas]
            changed = [self._changed.pop(block_id) for block_id in ids]
            self._sequence += 1
            gained = tuple(block for received, block in changed if received)
            lost = tuple(block for received, block in changed if not received)
            return Changes(call, self._uuid, registration_id, self._sequence, gained, lost, copied)
        if self._bad_untold:
            ids = list(self._bad_untold)[: self._chunk_replicas]
            return FoundBad(
                call,
                self._uuid,
                registration_id,
                tuple(self._bad_untold.pop(block_id) for block_id in ids),
            )
        if self._walk is not None:
            ids, rest = self._walk[: self._chunk_replicas], self._walk[self._chunk_replicas :]
            self._walk = rest
            here = tuple(
                self.replicas[block_id]
                for block_id in ids
                if block_id in self.replicas and block_id not in self.bad
            )
            bad = tuple(self.bad[block_id] for block_id in ids if block_id in self.bad)
            numbers = self._report_id, self._begun_sequence, self._chunk
            left = (
                ()
                if rest
                else tuple(
                    self.unfinished[block_id]
                    for block_id in sorted(self.unfinished)[:UNFINISHED_MAX]
                )
            )
            report = FullReportChunk(
                call, self._uuid, registration_id, *numbers, not rest, here, left, bad
            )
            self._chunk += 1
            return report
        return None

    def taken(self) -> bool:
        """The unanswered message was answered; True when a full report ended with it."""
        report, self._unanswered = self._unanswered, None
        if isinstance(report, FullReportChunk) and report.last:
            self._walk = None
            self.complete = True
            return True
        return False

    def something_to_tell(self) -> bool:
        return (
            self._unanswered is not None
            or bool(self._changed or self._copied or self._bad_untold)
            or self._walk is not None
        )

    def check_invariants(self) -> None:
        for block_id in self.unfinished:
            assert block_id not in self.replicas, f"replica {block_id} is finalized and unfinished"
        for block_id in self.bad:
            assert block_id in self.replicas, f"bad replica {block_id} is not in the map"
        for block_id in self._bad_untold:
            assert block_id in self.bad, f"untold bad replica {block_id} is not bad"
        for block_id, (received, block) in self._changed.items():
            if received:
                assert self.replicas.get(block_id) in (block, None), (
                    f"change of {block_id} is not the replica held"
                )
