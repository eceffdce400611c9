"""The one place of `mrc` that prints. Names, owners, job names and errors come from whoever may
write to the cluster: none of them moves a terminal's cursor, sets its title, turns its text round
or forges a line of ours.

Standard error is for people and logs and is always cleaned. Standard output is cleaned in a
terminal only: programs get names as they are. What a file holds (`cat`, `get -`) is data and passes
through.
"""

from __future__ import annotations

import contextlib
import re
import sys
from typing import Any

from clusterkit.readable import clean, is_hidden

_IN_JSON = re.compile(r"[\x7f-\uffff]")


def out(*lines: str) -> None:
    """Lines of data."""
    _write_out(
        "\n".join(clean(line, "\t") for line in lines) if sys.stdout.isatty() else "\n".join(lines)
    )


def out_name(name: str) -> None:
    """A name that a NUL ends, for `xargs -0`: data, never a line."""
    sys.stdout.buffer.write(
        (clean(name) if sys.stdout.isatty() else name).encode("utf-8", "surrogateescape") + b"\0"
    )


def out_json(facts: Any, *, indent: int | None = 1) -> None:
    import json

    text = json.dumps(
        facts,
        indent=indent,
        ensure_ascii=False,
        separators=None if indent else (",", ":"),
        default=_plain,
    )
    if sys.stdout.isatty():
        text = _IN_JSON.sub(
            lambda found: json.dumps(found[0])[1:-1] if is_hidden(found[0]) else found[0], text
        )
    _write_out(text)


def err(text: str, *, lines: bool = True) -> None:
    """For people. With `lines`, line ends and tabs are ours; without, one line whatever is in
    it."""
    with contextlib.suppress(OSError):  # a full or closed standard error changes no exit code
        sys.stderr.write(clean(text, "\n\t" if lines else "") + "\n")
        sys.stderr.flush()


def out_log(piece: bytes) -> None:
    """What a task printed: its author's colours and controls are for whoever reads it from a file,
    not for this terminal."""
    if sys.stdout.isatty():
        piece = clean(piece.decode("utf-8", "replace"), "\n\t").encode()
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _plain(value: object) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


def _write_out(text: str) -> None:
    """Also names that are not UTF-8."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
    sys.stdout.buffer.flush()
