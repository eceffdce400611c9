"""Calls that park, or that were opened and never sent, do not keep others from being served; what
is too much is refused in words."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from clusterkit import errors
from clusterkit.rpc import Server, make_channel, make_server
from clusterkit.rpc import server as rpc_server
from clusterkit.rpc.lanes import Deadlines, Lane, LanePool

PARKED = Lane(threads=2, waiting=1)


class House:
    """Park holds its thread until released, Echo answers at once; both take and give bytes."""

    def __init__(self, **options: Any) -> None:
        self.released, self.parked = threading.Event(), threading.Semaphore(0)
        self.server = make_server("127.0.0.1", 0, threads=2, lanes={"Park": PARKED}, **options)
        self.server.add(self._add, None)
        self.server.start()
        self.channel = make_channel(self.server.address)

    def _add(self, _servicer: Any, server: Any) -> None:
        def park(_request: bytes, _context: Any) -> Iterator[bytes]:
            self.parked.release()
            assert self.released.wait(20)
            yield b"released"

        handlers = {
            "Park": grpc.unary_stream_rpc_method_handler(park),
            "Echo": grpc.unary_unary_rpc_method_handler(lambda request, _context: request),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Test", handlers),)
        )

    def park(self) -> Any:
        return self.channel.unary_stream("/test.Test/Park")(b"", timeout=20)

    def echo(self) -> bytes:
        answer: bytes = self.channel.unary_unary("/test.Test/Echo")(b"hello", timeout=20)
        return answer

    def stop(self) -> None:
        self.released.set()
        self.channel.close()
        self.server.stop(0)


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.stop()


def test_parked_calls_leave_threads_to_the_others_and_too_many_are_refused_in_words(
    house: House,
) -> None:
    calls = [house.park() for _ in range(PARKED.threads)]
    for _ in calls:
        assert house.parked.acquire(timeout=10)
    waiting = house.park()
    assert house.echo() == b"hello"
    with pytest.raises(errors.Overloaded, match="3 calls of Park are under way, which is the most"):
        next(house.park())
    assert house.echo() == b"hello"
    house.released.set()
    assert [next(call) for call in (*calls, waiting)] == [b"released"] * 3


def test_a_lane_has_room_again_when_calls_end(house: House) -> None:
    house.released.set()
    for _ in range(3 * PARKED.most):
        assert next(house.park()) == b"released"


def test_a_call_that_never_sends_its_request_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a few of them hold every thread for ever."""
    monkeypatch.setattr(rpc_server, "REQUEST_WITHIN_S", 0.2)
    house = House()
    channel = grpc.insecure_channel(house.server.address)
    silence: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    silent = [
        channel.stream_unary("/test.Test/Echo").future(iter(silence.get, None), timeout=20)
        for _ in range(4)
    ]
    assert house.echo() == b"hello"
    assert {call.code() for call in silent} == {grpc.StatusCode.CANCELLED}
    for _ in silent:
        silence.put(None)
    channel.close()
    house.stop()


def test_a_call_that_ends_without_a_request_is_refused_in_words(house: House) -> None:
    channel = grpc.insecure_channel(house.server.address)
    with pytest.raises(grpc.RpcError) as refused:
        channel.stream_unary("/test.Test/Echo")(iter([]), timeout=10)
    assert "without a request" in refused.value.details()
    channel.close()


def test_the_lane_is_where_grpc_looks_for_it(house: House) -> None:
    """An attribute of its own that it calls experimental: when it is gone, parked calls starve the
    others again."""
    names: list[str] = []

    def add(_: Any, server: Any) -> None:
        def where(_request: bytes, _context: Any) -> bytes:
            names.append(threading.current_thread().name)
            return b""

        handlers = {name: grpc.unary_unary_rpc_method_handler(where) for name in ("Park", "Other")}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Test", handlers),)
        )

    server: Server = make_server("127.0.0.1", 0, threads=1, lanes={"Park": PARKED}, name="house")
    server.add(add, None)
    server.start()
    with make_channel(server.address) as channel:
        for name in ("Park", "Other"):
            channel.unary_unary(f"/test.Test/{name}")(b"")
    server.stop(0)
    assert [name.rpartition("_")[0] for name in names] == ["house-Park", "house"]


def test_what_is_watched_expires_in_order_and_what_is_forgotten_does_not() -> None:
    deadlines, expired = Deadlines(), queue.SimpleQueue[str]()

    def of(name: str) -> Callable[[], None]:
        return lambda: expired.put(name)

    deadlines.watch(2.0, of("second"))
    deadlines.forget(deadlines.watch(1.5, of("forgotten")))
    deadlines.watch(1.0, of("first"))
    assert [expired.get(timeout=10), expired.get(timeout=10)] in (
        ["first", "second"],
        ["second", "first"],
    )
    assert expired.empty()
    deadlines.stop()


def test_a_pool_that_is_shut_down_counts_nothing() -> None:
    refusing = ThreadPoolExecutor(1)
    pool = LanePool(Lane(1, 0), "test", refusing)
    pool.shutdown()
    for _ in range(3):
        with pytest.raises(RuntimeError):
            pool.submit(print)
    refusing.shutdown()
