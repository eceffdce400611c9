"""What holds for every test."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

import clusterkit.rpc  # noqa: F401  before a test imports grpc, which reads its switches then
from tests.equipment.fixtures import hadoop_jars as hadoop_jars
from tests.equipment.fixtures import zookeeper as zookeeper


@pytest.fixture(scope="session", autouse=True)
def signals_of_a_terminal() -> Iterator[None]:
    """Whoever runs the tests under nohup, or in the background of a shell without job control, has
    signals ignored that are then ignored in every child too, as it should be (`nohup mrc submit …`
    goes on). The tests are about commands that somebody started at a terminal."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)}
    for number, handler in kept.items():
        if handler is signal.SIG_IGN:
            signal.signal(
                number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            )
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
