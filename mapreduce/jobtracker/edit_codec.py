"""The tracker's edits as journal bytes."""

from __future__ import annotations

from clusterkit.records import EditCodec, number_of
from mapreduce.jobtracker.core.edits import EDITS, Checkpoint


def edit_codec() -> EditCodec:
    return EditCodec(EDITS)


def is_checkpoint(payload: bytes | memoryview) -> bool:
    """Told by its number, which is the first item of the row, without decoding it all."""
    return payload[1] == number_of(Checkpoint)
