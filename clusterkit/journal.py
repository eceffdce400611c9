"""The journal's interface: an append-only, fenced, checksummed sequence of records. Backends:
`journal_local`, `MemoryJournal` (simulator).

One contract suite (tests/contract/test_journal.py) runs on every backend. Durability is `sync`:
after it returns, every appended record survives a power cut. A journal whose append or sync failed
is unusable: its process exits (a failed fsync leaves nothing to trust).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class JournalRecord(NamedTuple):
    txid: int
    epoch: int
    payload: bytes


class Journal(Protocol):
    def read(self, after_txid: int = 0) -> Iterator[JournalRecord]:
        """Every durable record with a txid above `after_txid`, in order. Raises CorruptRecord
        naming the txid range, DiskFailed."""
        ...

    def append(self, records: Sequence[JournalRecord]) -> None:
        """Buffers records with consecutive txids. Raises Fenced when an epoch goes backwards,
        ValueError on a gap, DiskFailed."""
        ...

    def sync(self) -> None:
        """Returns when everything appended is durable. Raises DiskFailed when it may not be,
        OSError on every use after that."""
        ...

    def last_txid(self) -> int: ...

    def forget(self, up_to_txid: int) -> None:
        """Records up to and including this txid are in a snapshot or store: whole segments of them
        may go."""
        ...

    def close(self) -> None: ...
