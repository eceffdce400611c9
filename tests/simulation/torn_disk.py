"""A power cut in the middle of a write, with the real journal on real files: of the pages that were
not synced each is on the disk, or not.

The kernel's journals are lists of records; this is where bytes are torn for them. The real
`LocalJournal` must open what is left, find every synced record, and of the others a prefix.
"""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from clusterkit.errors import CorruptRecord
from clusterkit.journal import JournalRecord
from clusterkit.journal_local import LocalJournal

PAGE_BYTES = 128
"""Smaller than any real page: the simulator's records are small too."""
TAIL = 3
logging.getLogger(LocalJournal.__module__).setLevel(
    logging.ERROR
)  # what it cut off is said each time


def survivors(
    rng: random.Random, durable: Sequence[JournalRecord], pending: Sequence[JournalRecord]
) -> int:
    """How many of `pending` are found after the cut. Raises AssertionError when opening fails or a
    synced record is not found."""
    synced = [record._replace(txid=number) for number, record in enumerate(durable[-TAIL:], 1)]
    lost = [record._replace(txid=number) for number, record in enumerate(pending, len(synced) + 1)]
    with tempfile.TemporaryDirectory(prefix="mrc-sim-") as scratch:
        directory = Path(scratch) / "journal"
        journal = LocalJournal(directory)
        path = next(directory.glob("edits_*"))
        if synced:
            journal.append(synced)
            journal.sync()
        safe = path.stat().st_size
        for at in range(0, len(lost), 2):  # more than one write without a sync between them
            journal.append(lost[at : at + 2])
        journal.close()
        data = bytearray(path.read_bytes())
        for at in range(safe, len(data), PAGE_BYTES):
            if rng.random() < 0.5:
                piece = slice(at, min(at + PAGE_BYTES, len(data)))
                data[piece] = bytes(len(data[piece]))
        path.write_bytes(data[: rng.randrange(safe, len(data) + 1)] if rng.random() < 0.5 else data)
        try:
            again = LocalJournal(directory)
        except CorruptRecord as refused:
            raise AssertionError(f"a torn write was taken for damage: {refused}") from refused
        found = list(again.read())
        again.close()
    assert found[: len(synced)] == synced, (
        f"of {len(synced)} synced records {len(found)} were found"
    )
    assert found == [*synced, *lost][: len(found)], (
        "what was found behind the synced records is not what was written"
    )
    return len(found) - len(synced)
