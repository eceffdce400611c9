"""What a task's log says last."""

from __future__ import annotations

import io
import socket
from typing import Any

import pytest

from mapreduce.failures import FailureReport
from mapreduce.worker import task_messages as msg
from mapreduce.worker.task_main import TaskChannel, _last_words, _say_failure

FRAMES: dict[str, Any] = {
    "traceback": "Traceback\n  theirs\nValueError: no\n",
    "engine_traceback": "Traceback\n  ours\n  theirs\nValueError: no\n",
}


def test_a_users_failure_shows_their_frames_and_their_record() -> None:
    report = FailureReport(
        kind="raised", message="ValueError: no", path="/in/f", offset=7, record="x y", **FRAMES
    )
    assert _last_words(report) == "Traceback\n  theirs\nValueError: no\nrecord: /in/f offset 7 x y"
    report = FailureReport(
        kind="bad_key", message="a list cannot be a key", engine_traceback="Traceback\n  ours\n"
    )
    assert _last_words(report) == "a list cannot be a key"


def test_a_failure_of_ours_shows_our_frames() -> None:
    assert "  ours\n" in _last_words(
        FailureReport(kind="engine", message="ValueError: no", **FRAMES)
    )


def test_a_job_that_closed_its_streams_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stdout", closed)
    monkeypatch.setattr("sys.stderr", closed)
    with ours, theirs:
        _say_failure(
            TaskChannel(theirs), FailureReport(kind="raised", message="ValueError: the cause")
        )
        (body,) = msg.Frames().feed(ours.recv(1 << 16))
    said = msg.decode_from_task(body)
    assert isinstance(said, msg.Failing)
    assert said.report.message == "ValueError: the cause"
