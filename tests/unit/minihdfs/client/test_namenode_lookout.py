"""An active that is frozen keeps its connections: a call whose answer does not come finds who leads
meanwhile, and is done there once."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from clusterkit.errors import TimedOut
from minihdfs.client.namenode_calls import NamenodeClient
from minihdfs.client.namenode_failover import CallOptions
from minihdfs.client.namenode_lookout import Seen, look_around
from minihdfs.namenode.core import events as ev
from tests.unit.minihdfs.namenode.fake_core import FakeCore, Release, running


@contextlib.contextmanager
def frozen() -> Iterator[str]:
    """The kernel accepts and takes what is sent; nobody answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def client_of(*addresses: str, call_timeout_s: float = 60.0) -> NamenodeClient:
    return NamenodeClient(addresses, "ann", options=CallOptions(call_timeout_s=call_timeout_s))


def test_a_frozen_active_makes_way_for_who_leads_and_the_call_keeps_its_identity() -> None:
    core = FakeCore()
    core.rules[ev.Mkdirs] = True
    with frozen() as active, running(core) as other:
        client = client_of(active, other.address)
        assert client.mkdirs("/d")
        assert client.mkdirs("/e")  # stays where it found somebody
    first, second = (event.caller for event in core.asked if isinstance(event, ev.Mkdirs))
    assert (first.retry, second.retry) == (True, False)
    assert first.client_id == second.client_id


def test_everybody_who_waits_for_a_frozen_active_is_served() -> None:
    core = FakeCore()
    core.rules[ev.Mkdirs] = True
    made: list[bool] = []
    with frozen() as active, running(core) as other:
        client = client_of(active, other.address)
        threads = [
            threading.Thread(target=lambda: made.append(client.mkdirs("/d"))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert made == [True] * 8
    assert len({event.caller.call_id for event in core.asked}) == 8


def test_a_call_that_ends_its_time_at_a_frozen_active_goes_on_elsewhere() -> None:
    with frozen() as active, running() as other:
        assert client_of(active, other.address, call_timeout_s=0.2).get_file_info("/x") is None


def test_a_leader_that_is_slow_is_waited_for() -> None:
    """It answers that it leads, and nobody has a higher epoch: the call is at work there."""
    core, looks = FakeCore(), threading.Event()
    core.held = {ev.Mkdirs}
    core.rules[ev.Mkdirs] = True
    with running(core) as leader, running() as standby:
        standby.loop.facts.epoch = 0
        client = client_of(leader.address, standby.address)
        look = client._caller._look_for_better

        def looking(channel: object) -> None:
            look(channel)  # type: ignore[arg-type]
            looks.set()

        client._caller._look_for_better = looking  # type: ignore[assignment, method-assign]
        made: list[bool] = []
        asking = threading.Thread(target=lambda: made.append(client.mkdirs("/d")))
        asking.start()
        assert looks.wait(20)
        core.held = set()
        leader.loop.post(Release())
        asking.join(10)
        assert made == [True]
        assert not standby.core.asked
    assert [event.caller.retry for event in core.asked if isinstance(event, ev.Mkdirs)] == [False]


def test_a_slow_leader_of_one_address_still_times_out() -> None:
    with frozen() as active, pytest.raises(TimedOut):
        client_of(active, call_timeout_s=0.1).get_file_info("/x")


@pytest.mark.parametrize(
    ("epochs", "better"),
    [
        ({}, ""),
        ({"here": 7}, ""),
        ({"here": 7, "there": 0}, ""),
        ({"here": 7, "there": 7}, ""),
        ({"here": 7, "there": 6}, ""),
        ({"here": 7, "there": 8}, "there"),
        ({"here": 0, "there": 1, "yonder": 4}, "yonder"),
        ({"there": 0, "yonder": 4}, "yonder"),
        ({"there": 0}, "there"),
    ],
)
def test_where_to_go_instead(epochs: dict[str, int], better: str) -> None:
    assert Seen(epochs).better_than("here") == better


def test_who_leads_is_asked_of_all_and_nobody_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = f"127.0.0.1:{free.getsockname()[1]}"
    with frozen() as silent, running() as leader, running() as standby:
        standby.loop.facts.epoch = 0
        seen = look_around(
            [dead, silent, leader.address, standby.address, "no such host:x", "::"],
            "ann",
            limit_s=0.5,
        )
    assert seen.epochs == {leader.address: 7, standby.address: 0}


def test_a_stranger_at_an_address_is_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        address = f"127.0.0.1:{stranger.getsockname()[1]}"

        def babble() -> None:
            connection, _ = stranger.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
            connection.close()

        speaking = threading.Thread(target=babble)
        speaking.start()
        assert look_around([address], "ann").epochs == {}
        speaking.join()
