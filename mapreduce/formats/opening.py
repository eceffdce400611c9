"""A split's file: what was planned is what is read.

A split carries the stamp its file had when the job was planned. It is compared when the file is
opened, so that most changes cost no work, and again when the split has been read, because a file
may be replaced or written to in between. Whatever else came under that name since then fails the
job: half of one file and half of another are nobody's input.
"""

from __future__ import annotations

from mapreduce.formats.errors import BadInput
from mapreduce.plan.spec import Split
from mapreduce.storage.api import Reader, Storage


def open_planned(storage: Storage, split: Split) -> Reader:
    """Raises BadInput when the file is another one, is gone, or may not be read; and what else the
    storage raises."""
    try:
        reader = storage.open(split.path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise BadInput("is gone: it was there when the job was planned") from None
    except PermissionError as error:
        raise BadInput(f"may not be read: {error.strerror or error}") from error
    try:
        check_unchanged(reader, split)
    except BaseException:
        reader.close()
        raise
    return reader


def check_unchanged(reader: Reader, split: Split) -> None:
    """Raises BadInput unless the file is still the one that was planned."""
    try:
        is_planned = not split.stamp or reader.stamp() == split.stamp
    except FileNotFoundError:
        raise BadInput("is gone: it was removed while the job ran") from None
    if not is_planned:
        raise BadInput(
            "is not what it was when the job was planned: it was replaced or written to meanwhile"
        )
