"""A daemon's log: nothing in a message acts on a terminal or forges a line."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from clusterkit.log import start_logging


def test_a_message_is_one_entry_whatever_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        start_logging("worker-w1")
        logging.getLogger("x").warning("job %s", "a\x1b]0;PWNED\x07\x9b\u202e\n2026-01-01 I worker-w1 forged")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    first, second = stream.getvalue().splitlines()
    assert first.endswith("W worker-w1 job a?]0;PWNED???")
    assert second == "    2026-01-01 I worker-w1 forged"
