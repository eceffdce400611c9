"""The rules of one write: which stages are served and where the replica goes, and when a packet may
be acknowledged.

A packet is acknowledged upstream when it is stored here *and* the datanode behind has acknowledged
it; the replies of the nodes behind follow our own. A node that is lost behind us is told as ERROR
in second place, which is how the writer learns which one to leave out; one that complains of a bad
checksum makes us break the connection instead, because it was we who sent the bytes.

Numbers are DataTransferProtocol's: stages 6 = CREATE, 7 = TRANSFER_RBW, 8 = TRANSFER_FINALIZED;
statuses 0, 1, 2.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass

SUCCESS, ERROR, ERROR_CHECKSUM = 0, 1, 2
_CREATE, _TRANSFER_RBW, _TRANSFER_FINALIZED = 6, 7, 8


class Place(enum.Enum):
    """What becomes of the bytes: a client's new replica, a copy that is finalized at its end, a
    copy that stays open for its writer."""

    CLIENT = enum.auto()
    COPY = enum.auto()
    OPEN_COPY = enum.auto()


def admit(stage: int, client_name: str) -> Place | str:
    """Where a write of this stage goes, or why it is refused. A writer without a name is a datanode
    that replicates."""
    if stage == _CREATE:
        return Place.CLIENT if client_name else Place.COPY
    if stage == _TRANSFER_FINALIZED:
        return Place.COPY
    if stage == _TRANSFER_RBW:
        return Place.OPEN_COPY
    return (
        f"stage {stage} is not served: appending and pipeline recovery are not there yet; "
        "write the file again"
    )


@dataclass(frozen=True, slots=True)
class Ack:
    seqno: int
    replies: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Stored:
    seqno: int
    status: int
    end: int
    last: bool


class Pipeline:
    """Joins what is stored here with what the mirror acknowledges. Each method returns the acks
    that may now leave, in order."""

    def __init__(self, *, mirrored: bool) -> None:
        self._mirrored = mirrored
        self._stored: deque[_Stored] = deque()
        self._behind: deque[Ack] = deque()
        self._mirror_lost = False
        self.visible = 0  # acknowledged here and behind
        self.complete = False  # the last packet was acknowledged with success all along
        self.broken = (
            False  # an error was acknowledged, or must be told by breaking off: nothing more leaves
        )

    def stored(self, seqno: int, status: int, end: int, last: bool) -> list[Ack]:
        """A packet is on this datanode up to block offset `end`, or failed to get there."""
        self._stored.append(_Stored(seqno, status, end, last))
        return self._join()

    def mirror_acknowledged(self, seqno: int, replies: tuple[int, ...]) -> list[Ack]:
        self._behind.append(Ack(seqno, replies))
        return self._join()

    def owed(self) -> tuple[int, bool] | None:
        """(seqno, is it the last) of the oldest packet that is stored here and not acknowledged
        behind."""
        packet = self._stored[0] if self._stored else None
        return (packet.seqno, packet.last) if packet is not None else None

    def mirror_lost(self) -> list[Ack]:
        self._mirror_lost = True
        return self._join()

    def _join(self) -> list[Ack]:
        acks = []
        while self._stored and not self.broken and not self.complete:
            replies = self._replies_behind(self._stored[0])
            if replies is None:
                break
            packet = self._stored.popleft()
            if replies[:1] == (ERROR_CHECKSUM,):
                self.broken = True
                break
            acks.append(Ack(packet.seqno, (packet.status, *replies)))
            if any(acks[-1].replies):
                self.broken = True
            else:
                self.visible = max(self.visible, packet.end)
                self.complete = packet.last
        return acks

    def _replies_behind(self, packet: _Stored) -> tuple[int, ...] | None:
        """The replies of the nodes behind to this packet; None while they are still to come."""
        if not self._mirrored:
            return ()
        if self._behind:
            behind = self._behind.popleft()
            return behind.replies if behind.seqno == packet.seqno else (ERROR,)
        return (ERROR,) if self._mirror_lost else None
