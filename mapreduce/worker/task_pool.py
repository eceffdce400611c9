"""The worker's side of its task processes: the warm server, one channel per running attempt, and
what they cost.

Lives on the worker's one loop: callbacks of the selector gather events, the loop takes them to the
agent. It does what it is told and reports what it sees; which task runs and which must die is the
agent's decision.

The warm server is made by exec, always: gRPC may be up by then, and a process forked beside its
threads hangs. When it dies, its tasks die with it (the kernel sees to that), what they left behind
is found by its mark, and another one is made.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from clusterkit.effects import Event
from clusterkit.errors import ClusterError, CorruptRecord, DiskFailed, Unavailable
from clusterkit.interpreter import fixed_addresses, interpreter
from mapreduce.exchange import Launch
from mapreduce.model import Failure
from mapreduce.plan.spec import HASH_SEED
from mapreduce.worker import process_control
from mapreduce.worker import task_messages as msg
from mapreduce.worker.core import events as ev
from mapreduce.worker.core.commands import KillTask, StartTask, TellCommit, TellLocations
from mapreduce.worker.directories import WorkerDirectories
from mapreduce.worker.task_news import event_of, not_started

ENVIRONMENT = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "HADOOP_USER_NAME",
    "LANG",
    "TZ",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
)
"""What tasks see of the daemon's environment, with LC_*: nothing that could be a secret."""
SAMPLE_EVERY_S = 0.2
QUICK_DEATH_S = 5.0
TRY_AGAIN_S = 0.5
MAX_PACKET_BYTES = 1 << 16


class _Running:
    """One attempt's channel. The process may not be there yet, or not any more."""

    def __init__(self, attempt_id: str, sock: socket.socket) -> None:
        self.attempt_id, self.socket = attempt_id, sock
        self.pid = 0
        self.frames = msg.Frames()
        self.to_send = bytearray()
        self.is_open = True


class TaskPool:
    def __init__(
        self,
        directories: WorkerDirectories,
        worker_id: str,
        selector: selectors.BaseSelector,
        find_filesystem: Callable[[], str],
    ) -> None:
        self._directories, self._worker_id, self._selector, self._find_filesystem = (
            directories,
            worker_id,
            selector,
            find_filesystem,
        )
        self._running: dict[str, _Running] = {}
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._waiting: list[
            StartTask
        ] = []  # for the next warm server, or for the file system's address
        self._try_waiting_at: float | None = None
        self._late: list[tuple[float, Event]] = []
        self._spawned_at = 0.0
        self._spawn_at: float | None = None
        self._quick_deaths = 0
        self._sample_at = 0.0
        self._is_ready = False
        self.events: list[Event] = []
        self.log = logging.getLogger("mapreduce.worker.pool")

    # ── the warm server ──

    def start(self) -> None:
        """Begins to make the warm server; it loads the engine while the worker goes on starting."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {
            name: value
            for name, value in os.environ.items()
            if name in ENVIRONMENT or name.startswith("LC_")
        }
        environment[process_control.POOL_MARK] = str(self._directories.root)
        environment["PYTHONHASHSEED"] = str(HASH_SEED)
        with theirs, fixed_addresses():
            self._server = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "mapreduce.worker.warm_server",
                    str(theirs.fileno()),
                    str(os.getpid()),
                ],
                executable=interpreter(),
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno() if _has_descriptor(sys.stderr) else subprocess.DEVNULL,
                cwd=self._directories.root,
                close_fds=True,
            )
        ours.setblocking(False)
        self._control, self._spawned_at, self._spawn_at = ours, time.monotonic(), None
        self._selector.register(ours, selectors.EVENT_READ, lambda _mask: self._hear_server())
        self._start_waiting()

    @property
    def server_pid(self) -> int:
        return self._server.pid if self._server is not None else 0

    def stop(self) -> None:
        """Ends the warm server and with it every task."""
        self._spawn_at = None
        if self._control is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._control)
            self._control.close()
            self._control = None
        if self._server is not None:
            try:
                self._server.wait(12.0)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        for running in list(self._running.values()):
            self._close(running)
        self._directories.kill_leftovers()

    def _hear_server(self) -> None:
        assert self._control is not None
        while True:
            try:
                packet = self._control.recv(MAX_PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._server_died()
                return
            self._obey_server(json.loads(packet))

    def _obey_server(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._is_ready = True
            self.log.info(
                "warm task server %d is ready after %.0f ms",
                message["ready"],
                1e3 * (time.monotonic() - self._spawned_at),
            )
        elif "started" in message:
            running = self._running.get(message["started"])
            if running is not None:
                running.pid = int(message["pid"])
        elif "not_started" in message:
            self._forget_channel(message["not_started"])
            self._tell_not_started(
                message["not_started"], message["reason"], message.get("disk_command")
            )
        elif "exited" in message:
            attempt_id = message["exited"]
            self._forget_channel(attempt_id)
            self._directories.drop_work(attempt_id)
            self.events.append(
                ev.TaskExited(
                    attempt_id, message["status"], message["killed_by"], message["stack_top"]
                )
            )

    def _server_died(self) -> None:
        assert self._control is not None and self._server is not None
        self._selector.unregister(self._control)
        self._control.close()
        self._control = None
        try:
            code = self._server.wait(1.0)
        except subprocess.TimeoutExpired:
            self._server.kill()
            code = self._server.wait()
        how = (
            f"was killed by {process_control.signal_name(-code)}"
            if code < 0
            else f"exited with status {code}"
        )
        self.log.error("the warm task server %d %s; making another", self._server.pid, how)
        for attempt_id in list(self._running):
            self._forget_channel(attempt_id)
            self.events.append(ev.TaskLost(attempt_id, f"the warm task server {how}"))
        self._directories.kill_leftovers()
        quick = time.monotonic() - self._spawned_at < QUICK_DEATH_S and not self._is_ready
        self._is_ready = False
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        self._spawn_at = time.monotonic() + (
            min(5.0, 0.1 * 2**self._quick_deaths) if quick else 0.0
        )

    # ── orders ──

    def deliver(self, message: StartTask | KillTask | TellLocations | TellCommit) -> None:
        if isinstance(message, StartTask):
            self._waiting.append(message)
            self._start_waiting()
            return
        running = self._running.get(message.attempt_id)
        if isinstance(message, KillTask):
            if any(order.launch.attempt_id == message.attempt_id for order in self._waiting):
                self._waiting = [
                    order
                    for order in self._waiting
                    if order.launch.attempt_id != message.attempt_id
                ]
                self.events.append(ev.TaskNotStarted(message.attempt_id, "killed first"))
            self._tell_server({"kill": message.attempt_id, "dump": message.dump_stacks})
        elif running is not None and isinstance(message, TellLocations):
            self._send(running, msg.Locations(list(message.locations)))
        elif running is not None and isinstance(message, TellCommit):
            self._send(running, msg.CommitVerdict(message.granted, message.reason))

    def _start_waiting(self) -> None:
        self._try_waiting_at = None
        if self._control is None:
            return
        waiting, self._waiting = self._waiting, []
        for order in waiting:
            try:
                self._start_task(order)
            except Unavailable as error:
                if self._try_waiting_at is None:
                    self.log.warning("%s waits: %s", order.launch.attempt_id, error)
                self._waiting.append(order)
                self._try_waiting_at = time.monotonic() + TRY_AGAIN_S
            except (OSError, ClusterError) as error:
                shows = error.next_command if isinstance(error, DiskFailed) else None
                self._tell_not_started(order.launch.attempt_id, str(error), shows)

    def _tell_not_started(self, attempt_id: str, reason: str, disk_command: str | None) -> None:
        """A little later: what is wrong with this machine does not pass by trying as fast as one
        can."""
        event = not_started(attempt_id, reason, disk_command)
        self._late.append((time.monotonic() + TRY_AGAIN_S, event))

    def _start_task(self, order: StartTask) -> None:
        launch = order.launch
        attempt_id = launch.attempt_id
        filesystem = self._find_filesystem()
        self._directories.prepare(launch.job_id, attempt_id)
        task_order = self._task_order(launch, filesystem)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        running = self._running[attempt_id] = _Running(attempt_id, ours)
        self._selector.register(
            ours, selectors.EVENT_READ, lambda mask: self._on_channel(running, mask)
        )
        packet = {
            "launch": attempt_id,
            "log": str(self._directories.log(attempt_id)),
            "work": str(self._directories.work(attempt_id)),
        }
        with theirs:
            self._tell_server(packet, theirs)
        self._send(running, task_order)

    def _task_order(self, launch: Launch, filesystem: str) -> msg.TaskOrder:
        return msg.TaskOrder(
            attempt_id=launch.attempt_id,
            job_id=launch.job_id,
            worker_id=self._worker_id,
            user=launch.user,
            stage=launch.stage,
            index=launch.index,
            spec=launch.spec,
            split=launch.split,
            split_tag=launch.split_tag,
            partitions=launch.partitions,
            targets=list(launch.targets),
            inputs=list(launch.inputs),
            known=list(launch.known),
            results=list(launch.results),
            extensions=launch.extensions,
            filesystem=filesystem,
            code_directory=str(self._directories.code),
            work_directory=str(self._directories.work(launch.attempt_id)),
            output_directory=str(self._directories.output(launch.job_id, launch.attempt_id)),
        )

    def _tell_server(
        self, message: dict[str, Any], descriptor: socket.socket | None = None
    ) -> None:
        """A server that is dead or dying hears nothing; its end is noticed where it is read."""
        if self._control is None:
            return
        data = json.dumps(message).encode()
        with contextlib.suppress(OSError):
            if descriptor is None:
                self._control.send(data)
            else:
                socket.send_fds(self._control, [data], [descriptor.fileno()])

    # ── channels ──

    def _send(self, running: _Running, message: msg.ToTask) -> None:
        if running.is_open:
            running.to_send += msg.encode(message)
            self._flush(running)

    def _flush(self, running: _Running) -> None:
        try:
            while running.to_send:
                del running.to_send[: running.socket.send(running.to_send)]
        except BlockingIOError:
            pass
        except OSError:
            running.to_send.clear()  # the process is gone; the server says so
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if running.to_send else 0)
        self._selector.modify(running.socket, mask, lambda mask: self._on_channel(running, mask))

    def _on_channel(self, running: _Running, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._flush(running)
        if mask & selectors.EVENT_READ:
            self._receive(running)

    def _receive(self, running: _Running) -> None:
        """Takes what is there, a bounded amount at once."""
        for _ in range(16):
            try:
                data = running.socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._close(running)
                return
            try:
                for body in running.frames.feed(data):
                    self.events.append(event_of(running.attempt_id, msg.decode_from_task(body)))
            except CorruptRecord as error:
                self.events.append(ev.TaskFailed(running.attempt_id, Failure("engine", f"{error}")))
                self._tell_server({"kill": running.attempt_id})
                self._close(running)
                return

    def _close(self, running: _Running) -> None:
        if running.is_open:
            running.is_open = False
            self._selector.unregister(running.socket)
            running.socket.close()

    def _forget_channel(self, attempt_id: str) -> None:
        """The process is gone: what it said last counts, then its channel goes."""
        running = self._running.pop(attempt_id, None)
        if running is not None:
            while running.is_open:
                before = len(self.events)
                self._receive(running)
                if len(self.events) == before:
                    break
            self._close(running)

    # ── time ──

    def next_deadline_s(self) -> float | None:
        """On time.monotonic's clock."""
        moments = [
            at
            for at in (
                self._spawn_at,
                self._try_waiting_at,
                self._sample_at if self._running else None,
            )
            if at is not None
        ]
        moments += [at for at, _event in self._late]
        return min(moments, default=None)

    def look_at_the_clock(self) -> None:
        now = time.monotonic()
        if self._spawn_at is not None and self._spawn_at <= now:
            self.start()
        if self._try_waiting_at is not None and self._try_waiting_at <= now:
            self._start_waiting()
        self.events += [event for at, event in self._late if at <= now]
        self._late = [(at, event) for at, event in self._late if at > now]
        if self._running and self._sample_at <= now:
            self._sample_at = now + SAMPLE_EVERY_S
            for attempt_id, running in self._running.items():
                if running.pid:
                    self.events.append(
                        ev.TaskSampled(attempt_id, *process_control.measure(running.pid))
                    )


def _has_descriptor(stream: Any) -> bool:
    try:
        return bool(stream.fileno() >= 0)
    except (OSError, AttributeError, ValueError):
        return False
