"""What a terminal gets: this process's standard output and error are a pseudo terminal for a
while."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable

import pytest

from clusterkit.readable import clean

SEEN_BY_TERMINALS = "\x1b]0;PWNED\x07\x1b[31m\r\n\t\x7f\x9b31m\u202e\u2028\u200b"
"""Sets titles and colours, forges lines, turns text round: what no name of a stranger's may do."""


def on_a_terminal(call: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> str:
    """Returns what `call` wrote, line ends as they were written."""
    ours, theirs = os.openpty()
    got: list[bytes] = []

    def collect() -> None:
        with contextlib.suppress(OSError):  # the other side was closed
            while data := os.read(ours, 65536):
                got.append(data)

    reader = threading.Thread(target=collect)
    reader.start()
    with monkeypatch.context() as patch, os.fdopen(theirs, "w", errors="surrogateescape") as stream:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        patch.setenv("NO_COLOR", "1")
        call()
        stream.flush()
    reader.join(10)
    os.close(ours)
    return b"".join(got).replace(b"\r\n", b"\n").decode("utf-8", "replace")


def acts_on_a_terminal(said: str) -> list[str]:
    """The lines that would."""
    return [
        ascii(line)
        for line in said.split("\n")
        if clean(line, "\t") != line or "forged" in line[:8]
    ]
