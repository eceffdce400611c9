"""A journal in memory, for unit tests: durable exactly up to the last `sync`. `crash` forgets what
was not synced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterkit.errors import Fenced
from clusterkit.journal import JournalRecord


class MemoryJournal:
    def __init__(self) -> None:
        self._records: list[JournalRecord] = []
        self._durable = 0
        self._forgotten = 0  # txids up to here were dropped
        self._epoch = 0

    def read(self, after_txid: int = 0) -> Iterator[JournalRecord]:
        yield from [record for record in self._records[: self._durable] if record.txid > after_txid]

    def append(self, records: Sequence[JournalRecord]) -> None:
        for record in records:
            if record.txid != self.last_txid() + 1:
                raise ValueError(f"journal got txid {record.txid} after {self.last_txid()}")
            if record.epoch < self._epoch:
                raise Fenced(
                    f"journal holds epoch {self._epoch}; an append with epoch {record.epoch} is "
                    "refused"
                )
            self._epoch = record.epoch
            self._records.append(record)

    def sync(self) -> None:
        self._durable = len(self._records)

    def last_txid(self) -> int:
        return self._records[-1].txid if self._records else self._forgotten

    def forget(self, up_to_txid: int) -> None:
        kept = [record for record in self._records if record.txid > up_to_txid]
        dropped = len(self._records) - len(kept)
        self._forgotten = self._records[dropped - 1].txid if dropped else self._forgotten
        self._records, self._durable = kept, max(0, self._durable - dropped)

    def crash(self) -> None:
        """What a power cut leaves."""
        del self._records[self._durable :]
        self._epoch = self._records[-1].epoch if self._records else 0

    def close(self) -> None:
        pass
