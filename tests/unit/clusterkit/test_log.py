"""A daemon's log: nothing in a message acts on a terminal or forges a line."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from clusterkit.log import AT_ONCE, Rarely, start_logging


def test_a_message_is_one_entry_whatever_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        start_logging("worker-w1")
        logging.getLogger("x").warning(
            "job %s", "a\x1b]0;PWNED\x07\x9b\u202e\n2026-01-01 I worker-w1 forged"
        )
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    first, second = stream.getvalue().splitlines()
    assert first.endswith("W worker-w1 job a?]0;PWNED???")
    assert second == "    2026-01-01 I worker-w1 forged"


def test_what_a_stranger_causes_is_not_said_as_often_as_they_cause_it() -> None:
    now_s = [0.0]
    rarely, said = Rarely(lambda: now_s[0]), []

    def say(line: int, text: str) -> None:
        record = logging.LogRecord("x", logging.INFO, "rpc.py", line, "client %s", (text,), None)
        if rarely.filter(record):
            said.append(record.getMessage())

    for number in range(100_000):
        say(1, str(number))
    say(2, "elsewhere")
    assert len(said) == AT_ONCE + 1
    assert said[-1] == "client elsewhere"
    now_s[0] = 1.0
    say(1, "later")
    assert said[-1] == f"client later (and {100_000 - AT_ONCE} like it that are not shown)"
