"""How `mrc fs` writes facts: permissions, sizes, times and tables in the shapes that Hadoop's shell
made customary, and JSON."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from minihdfs.model import FileStatus
from mrc.printing import out

UNITS = ("", " K", " M", " G", " T", " P", " E")


def permission_text(permission: int) -> str:
    """0o644 → rw-r--r--; the sticky bit is the last letter's t or T."""
    letters = "".join(
        letter if permission >> (8 - index) & 1 else "-" for index, letter in enumerate("rwxrwxrwx")
    )
    if permission & 0o1000:
        letters = letters[:-1] + ("t" if letters[-1] == "x" else "T")
    return letters


def size_text(size: int, *, human: bool) -> str:
    if not human or size < 1024:
        return str(size)
    value = float(size)
    for unit in UNITS:
        if value < 1024 or unit == UNITS[-1]:
            break
        value /= 1024
    return f"{value:.1f}{unit}"


EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
CYCLE_YEARS, CYCLE_US = 400, 146_097 * 86_400_000_000
"""The calendar repeats: a time beyond Python's years is that of a year within them, with the year
told anew."""


_LOW_US, _HIGH_US = (
    -62_000_000_000 * 10**6,
    253_000_000_000 * 10**6,
)  # within Python's years, in every time zone


def _calendar(micros: int, *, local: bool = False) -> tuple[str, datetime.datetime]:
    """(year, the rest), for every time that the wire can carry; years outside of 0001–9999 with
    their sign, as ISO 8601 has it."""
    within = _LOW_US <= micros < _HIGH_US
    cycles = 0 if within else micros // CYCLE_US
    at = EPOCH + datetime.timedelta(microseconds=micros - cycles * CYCLE_US)
    at = at.astimezone() if local and within else at
    year = at.year + cycles * CYCLE_YEARS
    return (f"{year:04}" if 0 <= year <= 9999 else f"{year:+05}"), at


def minute_text(micros: int) -> str:
    """In this machine's time zone, as ls does."""
    year, at = _calendar(micros, local=True)
    return f"{year}-{at:%m-%d %H:%M}"


def second_text(micros: int) -> str:
    """In UTC, as Hadoop's stat does."""
    year, at = _calendar(micros)
    return f"{year}-{at:%m-%d %H:%M:%S}"


def rfc3339(micros: int) -> str:
    year, at = _calendar(micros)
    return f"{year}-{at:%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def facts_of(path: str, status: FileStatus) -> dict[str, Any]:
    """One file or directory as JSON."""
    return {
        "path": path,
        "type": "directory" if status.is_directory else "file",
        "length": status.length,
        "replication": status.replication,
        "block_bytes": status.block_bytes,
        "permission": f"{status.permission:04o}",
        "owner": status.owner,
        "group": status.group,
        "modified_at": rfc3339(status.modified_us),
        "accessed_at": rfc3339(status.accessed_us),
        "file_id": status.inode_id,
        "under_construction": status.under_construction,
    }


def print_table(rows: Sequence[Sequence[str]], left: Sequence[bool], gap: str = " ") -> None:
    """Columns as wide as their widest cell; `left` says which are aligned left. The last column is
    never padded."""
    widths = [max((len(row[index]) for row in rows), default=0) for index in range(len(left))]
    for row in rows:
        cells = [
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(row, widths, left, strict=True)
        ]
        cells[-1] = row[-1] if left[-1] else cells[-1]
        out(gap.join(cells))
