"""Each trap of gRPC in Python, shown to be avoided by the factory. A tiny byte-echo service stands
in for generated stubs."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc._cython import cygrpc

from clusterkit import errors
from clusterkit.rpc import Channel, Server, make_channel, make_server, options, peer_host

ROOT = Path(__file__).parents[3]


class JobLost(errors.ClusterError):
    """A subclass of another package, with arguments of its own."""

    code = "JOB_LOST"

    def __init__(self, job_id: str, workers: int) -> None:
        super().__init__(
            f"job {job_id} lost {workers} workers", next_command=f"mrc job status '{job_id}' → log"
        )


class NoCodeOfItsOwn(errors.TryAgain):
    pass


Handler = Callable[[bytes, Any], Any]


def serve(
    *, port: int = 0, threads: int = 2, max_concurrent: int | None = None, **handlers: Handler
) -> Server:
    """A started server; handlers whose name begins with `stream_` answer with many replies."""

    def add(_: Any, server: Any) -> None:
        wrap = {
            name: (
                grpc.unary_stream_rpc_method_handler
                if name.startswith("stream_")
                else grpc.unary_unary_rpc_method_handler
            )(handler)
            for name, handler in handlers.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", wrap),))

    server = make_server("127.0.0.1", port, threads=threads, max_concurrent=max_concurrent)
    server.add(add, None)
    server.start()
    return server


def call(channel: Channel, name: str) -> Any:
    return (channel.unary_stream if name.startswith("stream_") else channel.unary_unary)(
        f"/test.Test/{name}"
    )


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Callable[..., tuple[Server, Channel]]:
    def start(**options: Any) -> tuple[Server, Channel]:
        server = serve(**options)
        channel = make_channel(server.address)
        request.addfinalizer(lambda: (channel.close(), server.stop(0)))  # type: ignore[func-returns-value]
        return server, channel

    return start


def raising(error: Exception) -> Handler:
    def handler(_request: bytes, _context: Any) -> bytes:
        raise error

    return handler


Started = Callable[..., tuple[Server, Channel]]


def test_a_second_server_on_the_port_is_refused_and_told_who_holds_it(started: Started) -> None:
    server, _ = started(Echo=lambda request, _: request)
    with pytest.raises(
        errors.PortInUse, match=rf"port {server.port} on 127.0.0.1 is in use by pid {os.getpid()} "
    ) as refusal:
        serve(port=server.port)
    assert str(server.port) in (refusal.value.next_command or "")


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(
        errors.ClusterError,
        match=r"cannot listen on 192\.0\.2\.1: it is not an address of this machine",
    ):
        make_server("192.0.2.1", 0, threads=1).start()


def test_a_message_of_five_mebibytes_passes_both_ways(started: Started) -> None:
    _, channel = started(Echo=lambda request, _: request)
    blob = os.urandom(5 << 20)
    assert call(channel, "Echo")(blob) == blob


def test_a_message_beyond_the_limit_is_an_error_that_no_retry_helps(started: Started) -> None:
    _, channel = started(Echo=lambda request, _: request)
    with pytest.raises(errors.ClusterError, match="larger than max") as refusal:
        call(channel, "Echo")(bytes(17 << 20))
    assert not refusal.value.retryable


def test_every_call_has_a_deadline(started: Started) -> None:
    release = threading.Event()
    server, _ = started(
        Park=lambda request, _: release.wait(30) and request,
        stream_Park=lambda _r, _c: iter(lambda: release.wait(30), True),
    )
    with make_channel(server.address, deadline_s=0.2) as hasty:
        for name in ("Park", "stream_Park"):
            begun = time.monotonic()
            with pytest.raises(errors.TimedOut, match=rf"did not answer {name} within 0.2 s"):
                reply = call(hasty, name)(b"")
                list(reply)
            assert time.monotonic() - begun < 2
        with pytest.raises(errors.TimedOut):
            call(hasty, "Park").future(b"").result()
    release.set()


def test_a_proxy_in_the_environment_is_ignored(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    _, channel = started(Echo=lambda request, _: request)
    assert call(channel, "Echo")(b"x", timeout=2.0) == b"x"


def test_calls_go_on_within_a_second_after_the_server_came_back() -> None:
    server = serve(Echo=lambda request, _: request)
    with make_channel(server.address) as channel:
        echo = call(channel, "Echo")
        assert echo(b"1") == b"1"
        server.stop(0)
        with pytest.raises(
            errors.Unavailable, match=f"nobody answers at {server.address}: connection refused"
        ):
            echo(b"2", timeout=3.0, wait_for_ready=False)
        replies: list[Any] = []
        waiting = threading.Thread(target=lambda: replies.append(echo(b"3")))
        waiting.start()
        with pytest.raises(errors.Unavailable):  # lets the reconnect back off as far as it will
            echo(b"4", timeout=1.0)
        begun = time.monotonic()
        again = serve(port=server.port, Echo=lambda request, _: request)
        waiting.join(5)
        assert replies == [b"3"]
        assert time.monotonic() - begun < 1.0
        again.stop(0)


def test_nobody_there_is_told_from_too_slow(started: Started) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    with make_channel(address, deadline_s=0.2) as channel:
        with pytest.raises(
            errors.Unavailable, match=rf"nobody answered at {address} for 0.2 s"
        ) as refusal:
            call(channel, "Echo")(b"")
        assert refusal.value.next_command == "mrc status"
    with (
        make_channel(address, wait_for_ready=False) as prompt,
        pytest.raises(errors.Unavailable, match="connection refused"),
    ):
        call(prompt, "Echo")(b"")


@pytest.mark.parametrize(
    "error",
    [
        JobLost("job_1", 3),
        NoCodeOfItsOwn("come back later"),
        errors.Fenced("epoch 7 is older than 9", next_command="mrc status"),
        errors.NotPermitted("no: “ünïcode” of /a"),
        errors.ClusterError("two\nlines"),
        *(
            kind("x")
            for kind in errors.ClusterError.__subclasses__()
            if kind.__module__ == "clusterkit.errors"
        ),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("name", ["Fail", "stream_Fail"])
def test_an_error_arrives_as_what_it_was(
    started: Started, error: errors.ClusterError, name: str
) -> None:
    def stream(request: bytes, context: Any) -> Iterator[bytes]:
        yield b"first"
        raise error

    _, channel = started(Fail=raising(error), stream_Fail=stream)
    with pytest.raises(errors.ClusterError) as caught:
        list(call(channel, name)(b""))
    assert type(caught.value) is type(error)
    assert caught.value.message == " ".join(error.message.split())
    assert (caught.value.code, caught.value.next_command) == (error.code, error.next_command)


def test_an_error_whose_class_is_unknown_here_keeps_its_code_and_whether_a_retry_helps(
    started: Started,
) -> None:
    foreign, other = errors.TryAgain("shard 3 is moving"), errors.ClusterError("no such shard")
    foreign.code, other.code = "SHARD_MOVING", "NO_SHARD"
    _, channel = started(Fail=raising(foreign), Other=raising(other))
    with pytest.raises(errors.TryAgain, match="shard 3 is moving") as caught:
        call(channel, "Fail")(b"")
    assert caught.value.code == "SHARD_MOVING"
    with pytest.raises(errors.ClusterError) as caught_other:
        call(channel, "Other")(b"")
    assert (caught_other.value.code, caught_other.value.retryable) == ("NO_SHARD", False)


@pytest.mark.parametrize("name", ["Fail", "stream_Fail"])
def test_a_fault_of_ours_is_logged_with_a_number_and_its_text_stays_inside(
    started: Started, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    def stream(_request: bytes, _context: Any) -> Iterator[bytes]:
        raise KeyError("the password is swordfish")
        yield b""

    _, channel = started(Fail=raising(KeyError("the password is swordfish")), stream_Fail=stream)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(errors.ClusterError, match=rf"{name} failed inside the service") as caught,
    ):
        list(call(channel, name)(b""))
    assert "swordfish" not in caught.value.message
    incident = caught.value.message.rpartition("[")[2].rstrip("]")
    [record] = [record for record in caplog.records if incident in record.message]
    assert record.exc_info and "swordfish" in str(record.exc_info[1])


def test_a_caller_that_leaves_finalises_the_stream(started: Started) -> None:
    finished = threading.Event()

    def endless(request: bytes, _context: Any) -> Iterator[bytes]:
        try:
            while True:
                yield request
        finally:
            finished.set()

    _, channel = started(stream_Endless=endless)
    replies = call(channel, "stream_Endless")(b"x" * 1024)
    assert next(replies) == b"x" * 1024
    replies.cancel()
    assert finished.wait(5)
    with pytest.raises(errors.Cancelled):
        list(replies)


def test_calls_beyond_what_it_may_hold_are_refused_at_once(started: Started) -> None:
    inside, release = threading.Event(), threading.Event()

    def park(request: bytes, _context: Any) -> bytes:
        inside.set()
        release.wait(30)
        return request

    _, channel = started(threads=1, max_concurrent=1, Park=park)
    parked = call(channel, "Park").future(b"p")
    assert inside.wait(5)
    with pytest.raises(errors.Overloaded) as refusal:
        call(channel, "Park")(b"")
    assert refusal.value.retryable
    release.set()
    assert parked.result() == b"p"


def test_stop_lets_a_call_under_way_finish_and_refuses_new_ones(started: Started) -> None:
    inside, release = threading.Event(), threading.Event()

    def park(request: bytes, _context: Any) -> bytes:
        inside.set()
        release.wait(30)
        return request

    server, channel = started(Park=park)
    parked = call(channel, "Park").future(b"p")
    assert inside.wait(5)
    stopping = threading.Thread(target=server.stop, args=(10.0,))
    stopping.start()
    release.set()
    assert parked.result() == b"p"
    stopping.join(5)
    assert not stopping.is_alive()
    assert server.wait(1.0)
    with pytest.raises(errors.Unavailable):
        call(channel, "Park")(b"", wait_for_ready=False)
    channel.close()
    with pytest.raises(errors.Cancelled, match="closed"):
        call(channel, "Park")(b"")


def test_the_handler_sees_the_callers_host(started: Started) -> None:
    _, channel = started(Who=lambda _request, context: peer_host(context).encode())
    assert call(channel, "Who")(b"") == b"127.0.0.1"


def test_a_process_forked_beside_it_runs_no_handlers_of_grpcs(started: Started) -> None:
    """They would start gRPC's threads in the child, before it can become anything else."""
    _, channel = started(Echo=lambda request, _context: request)
    assert call(channel, "Echo")(b"x") == b"x"
    child = os.fork()
    if not child:
        os._exit(len(list(Path("/proc/self/task").iterdir())))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def _importers_of_stubs() -> list[str]:
    packages = ("clusterkit", "coordinator", "mapreduce", "minihdfs", "mrc")
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    return sorted(
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files
        if file.parent.name != "pb" and "_pb2_grpc" in file.read_text()
    )


@pytest.mark.parametrize("module", _importers_of_stubs())
def test_whoever_imports_stubs_has_switched_the_fork_handlers_off(module: str) -> None:
    """gRPC reads the switch when it is imported for the first time; later it changes nothing."""
    program = (
        "import importlib, os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'grpc':\n"
        "            print(os.environ.get('GRPC_ENABLE_FORK_SUPPORT'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "importlib.import_module(sys.argv[1])\n"
        "import clusterkit.rpc\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_ENABLE_FORK_SUPPORT"}
    done = subprocess.run(
        [sys.executable, "-c", program, module],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.stdout.split() == ["0"]


def test_a_server_process_ends_on_sigterm_with_a_call_in_flight(tmp_path: Path) -> None:
    program = (
        "import signal, sys, threading\n"
        "from tests.unit.clusterkit.test_rpc import serve\n"
        "server = serve(Park=lambda r, c: threading.Event().wait(1.0) and r)\n"
        "signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.stop, "
        "args=(0,)).start())\n"
        "print(server.address, flush=True)\n"
        "server.wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        with make_channel(process.stdout.readline().strip()) as channel:
            parked = call(channel, "Park").future(b"", timeout=20.0)
            with pytest.raises(errors.TimedOut):  # the first one is certainly inside by now
                call(channel, "Park")(b"", timeout=0.2)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(errors.ClusterError):
                parked.result()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "option", sorted({name for name, _ in (*options.SERVER_OPTIONS, *options.CHANNEL_OPTIONS)})
)
def test_grpc_knows_every_option_that_is_set(option: str) -> None:
    """It takes any name in silence: a misspelt one is simply not in force. The names it knows are
    in its own library."""
    known = Path(cygrpc.__file__).read_bytes()
    assert re.search(re.escape(option.encode()) + rb"(?![a-z0-9_])", known), (
        f"gRPC has no option {option}"
    )


def test_a_server_bears_the_pings_of_its_own_peers() -> None:
    """Otherwise it cuts an idle connection off with "too many pings"."""
    server, channel = dict(options.SERVER_OPTIONS), dict(options.CHANNEL_OPTIONS)
    assert (
        server["grpc.http2.min_ping_interval_without_data_ms"] < channel["grpc.keepalive_time_ms"]
    )
    assert (
        server["grpc.keepalive_permit_without_calls"]
        == channel["grpc.keepalive_permit_without_calls"]
        == 1
    )
