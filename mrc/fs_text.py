"""How `mrc fs` writes facts: permissions, sizes, times and tables in the shapes that Hadoop's shell made customary, and JSON."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import Any

import click

from minihdfs.model import FileStatus

UNITS = ("", " K", " M", " G", " T", " P", " E")


def permission_text(permission: int) -> str:
    """0o644 → rw-r--r--; the sticky bit is the last letter's t or T."""
    letters = "".join(letter if permission >> (8 - index) & 1 else "-" for index, letter in enumerate("rwxrwxrwx"))
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


def minute_text(micros: int) -> str:
    """In this machine's time zone, as ls does."""
    return datetime.datetime.fromtimestamp(micros / 1e6).strftime("%Y-%m-%d %H:%M")


def second_text(micros: int) -> str:
    """In UTC, as Hadoop's stat does."""
    return datetime.datetime.fromtimestamp(micros / 1e6, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def rfc3339(micros: int) -> str:
    return datetime.datetime.fromtimestamp(micros / 1e6, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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


def print_json(facts: Any) -> None:
    click.echo(json.dumps(facts, indent=1, ensure_ascii=False).encode("utf-8", "surrogateescape"))


def print_table(rows: Sequence[Sequence[str]], left: Sequence[bool], gap: str = " ") -> None:
    """Columns as wide as their widest cell; `left` says which are aligned left. The last column is never padded."""
    widths = [max((len(row[index]) for row in rows), default=0) for index in range(len(left))]
    for row in rows:
        cells = [cell.ljust(width) if is_left else cell.rjust(width) for cell, width, is_left in zip(row, widths, left, strict=True)]
        cells[-1] = row[-1] if left[-1] else cells[-1]
        echo(gap.join(cells))


def echo(text: str) -> None:
    """A line to standard output, also when it holds a name that is not UTF-8."""
    click.echo(text.encode("utf-8", "surrogateescape"))
