"""Signals while something is half done: the first one unwinds, and the undoing is undisturbed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from mrc.demo import story
from mrc.interruption import held, interruptible


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """On the way out signals stay ignored, which is right for a command and wrong for the process
    of these tests."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, None)]
)
def test_the_first_signal_unwinds_and_later_ones_do_not_disturb_it(
    number: int, code: int | None
) -> None:
    done: list[str] = []
    with pytest.raises((SystemExit, KeyboardInterrupt)) as caught, interruptible():
        try:
            os.kill(os.getpid(), number)
            done.append("not reached")
        finally:
            for again in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                os.kill(os.getpid(), again)
            done.append("undone")
    assert done == ["undone"]
    assert getattr(caught.value, "code", None) == code
    os.kill(os.getpid(), signal.SIGTERM)  # between the undoing and the end of the process


def test_a_held_step_is_known_to_have_happened() -> None:
    done: list[str] = []
    with pytest.raises(SystemExit), interruptible():
        with held(), held():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("whole")
        done.append("not reached")
    assert done == ["whole"]


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruptible():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_demo_that_is_ended_takes_its_cluster_along(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    scratch: list[str] = []

    def play(self: story.Demo) -> None:
        scratch.append(str(self._scratch))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(story.Demo, "play", play)
    monkeypatch.setattr("mrc.cluster.down.bring_down", lambda home: ended.append(str(home.path)))
    with pytest.raises(SystemExit):
        story.demo.main([], standalone_mode=False)
    assert ended == [f"{scratch[0]}/home"]
    assert not os.path.exists(scratch[0])  # noqa: PTH110
