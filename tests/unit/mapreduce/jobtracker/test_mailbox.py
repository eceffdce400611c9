"""Where answers go: once for a caller, in order for a listener, and never more than a listener may
lag behind."""

from __future__ import annotations

import threading

import pytest

from clusterkit.errors import TryAgain
from mapreduce.jobtracker.mailbox import Reply, Stream


def test_a_reply_is_waited_for() -> None:
    reply = Reply()
    threading.Thread(target=lambda: reply.put("yes")).start()
    assert reply.wait(5.0) == "yes"


def test_no_reply_in_time_is_worth_another_try() -> None:
    with pytest.raises(TryAgain):
        Reply().wait(0.01)


def test_a_closed_stream_still_delivers_what_was_put_before() -> None:
    stream = Stream()
    stream.put(1)
    stream.put(2)
    stream.close()
    stream.put(3)
    assert list(stream) == [1, 2]


def test_a_listener_that_lags_too_far_behind_is_cut_off() -> None:
    stream = Stream(limit=3)
    for number in range(5):
        stream.put(number)
    assert list(stream) == []
