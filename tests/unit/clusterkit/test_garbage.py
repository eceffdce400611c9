"""Daemons collect young garbage often and old garbage never."""

from __future__ import annotations

import gc
import logging
import resource
import weakref
from collections.abc import Iterator

import pytest

from clusterkit import garbage
from clusterkit.descriptors import raise_descriptor_limit
from clusterkit.garbage import GarbagePolicy


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


class Node:
    def __init__(self) -> None:
        self.me = self


def test_what_is_there_at_the_start_is_frozen_and_nothing_old_is_ever_walked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "LOOK_S", 3600)
    policy = GarbagePolicy(alarm_bytes=1 << 60)
    policy.start()
    assert not gc.isenabled() and gc.get_freeze_count() > 0
    generations: list[int] = []

    def heard(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    gc.callbacks.append(heard)
    try:
        kept = [[] for _ in range(3 * garbage.YOUNG_MAX)]
        dead = weakref.ref(Node())
        policy.look()
        assert dead() is None
        few = [[] for _ in range(garbage.YOUNG_MIN)]
        for _ in range(garbage.QUIET_LOOKS):
            policy.look()
    finally:
        gc.callbacks.remove(heard)
    assert generations == [1, 1]
    del kept, few


def test_a_process_that_grows_says_so_and_not_at_every_look(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = GarbagePolicy(alarm_bytes=100 << 20)
    with caplog.at_level(logging.WARNING):
        for size in (99, 100, 150, 199, 200, 399):
            monkeypatch.setattr(garbage, "resident_bytes", lambda size=size: size << 20)
            policy.look()
    assert [record.args for record in caplog.records] == [(100,), (200,)]


def test_descriptors_are_raised_as_far_as_the_system_lets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert (
            raise_descriptor_limit(300) == min(300, hard) if hard != resource.RLIM_INFINITY else 300
        )
        assert raise_descriptor_limit(100) >= 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
