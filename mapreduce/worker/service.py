"""A worker process: the agent on one selector loop, with its task pool, its line to the tracker,
its shuffle and its log service.

The loop's thread owns the agent and the pool; gRPC's threads only post events. The warm server is
made before gRPC is imported, so that both load at once.
"""

from __future__ import annotations

import logging
import secrets
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from clusterkit.clock import SystemClock
from clusterkit.driver import Driver
from clusterkit.effects import Event, Send
from clusterkit.errors import PortInUse, Unavailable
from clusterkit.journal_memory import MemoryJournal
from clusterkit.listening import format_address
from clusterkit.records import EditCodec
from clusterkit.service import DataDirectory
from mapreduce.exchange import Hello
from mapreduce.worker.core import commands as cmd
from mapreduce.worker.core import events as ev
from mapreduce.worker.core.agent import WorkerAgent
from mapreduce.worker.core.options import AgentOptions
from mapreduce.worker.core.scratch_room import RESERVE_BYTES
from mapreduce.worker.core.tracker_session import SessionOptions
from mapreduce.worker.directories import RoomWatch, WorkerDirectories, measure
from mapreduce.worker.shuffle_server import ShuffleServer
from mapreduce.worker.task_pool import TaskPool

if TYPE_CHECKING:
    from clusterkit.rpc import Server
    from mapreduce.worker.tracker_link import TrackerLink

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    worker_id: str
    data_directory: Path
    slots: int = 1
    host: str = "127.0.0.1"  # listens here
    advertised_host: str = ""  # others reach it by this; empty = `host`
    rpc_port: int = 0  # 0 = the one of last time, else any
    shuffle_port: int = 0
    heartbeat_s: float = 0.5
    reserve_bytes: int = RESERVE_BYTES  # with less free on the data directory's disk, no slots


class WorkerService:
    def __init__(
        self,
        options: WorkerOptions,
        find_tracker: Callable[[], str],
        find_filesystem: Callable[[], str],
    ) -> None:
        """`find_tracker` gives the tracker's host:port, `find_filesystem` the URI of the storage
        that jobs' paths belong to."""
        self.options = options
        self._find_tracker, self._find_filesystem = find_tracker, find_filesystem
        self._selector = selectors.DefaultSelector()
        self._inbox: deque[Event] = deque()
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)
        self._selector.register(
            self._wake_read, selectors.EVENT_READ, lambda _mask: self._drain_wakes()
        )
        self._stopping = False
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self.ports: dict[str, int] = {}

    # ── the Service face ──

    @property
    def address(self) -> str:
        return format_address(self.options.advertised_host or self.options.host, self.ports["rpc"])

    def start(self) -> None:
        options = self.options
        self._data = DataDirectory.open(options.data_directory, "worker", options.worker_id)
        self._directories = WorkerDirectories(options.data_directory.resolve())
        killed = self._directories.start()
        if killed:
            _log.warning("killed %d processes that an earlier incarnation had left", killed)
        self._filesystem = LastKnown(self._find_filesystem)
        self._pool = TaskPool(
            self._directories, options.worker_id, self._selector, self._filesystem.get
        )
        self._pool.start()
        self._listen()
        self._link = self._make_link()
        session = SessionOptions(heartbeat_us=int(options.heartbeat_s * 1e6))
        agent_options = AgentOptions(
            options.worker_id,
            max(1, options.slots),
            session,
            reserve_bytes=options.reserve_bytes,
        )
        agent = WorkerAgent(
            agent_options, Random(), highest_epoch=self._data.highest_epoch("tracker")
        )
        self._driver = Driver(agent, MemoryJournal(), EditCodec([]), self._deliver, SystemClock())
        self._room_watch = RoomWatch(options.data_directory.resolve(), self.post)
        self.post(measure(options.data_directory.resolve()))  # before the first hello
        self._room_watch.start()
        self.post(ev.Started())
        threading.Thread(target=self._run, name="worker", daemon=True).start()

    def wait(self) -> None:
        self._ended.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self._stopping = True
        self._wake()
        self._ended.wait(30.0)

    @property
    def task_server_pid(self) -> int:
        return self._pool.server_pid

    # ── parts ──

    def _listen(self) -> None:
        from clusterkit.rpc import make_server
        from mapreduce.pb import tracker_pb2_grpc as pb_grpc
        from mapreduce.worker.logs_rpc import WorkerLogs

        options, before = self.options, self._data.ports

        def make_rpc(port: int) -> Server:
            server = make_server(options.host, port, threads=4, name="worker-logs")
            server.add(pb_grpc.add_WorkerLogsServicer_to_server, WorkerLogs(self._directories))
            server.start()
            return server

        def make_shuffle(port: int) -> ShuffleServer:
            return ShuffleServer(options.host, port, self._directories.read_output)

        self._rpc: Server = _on_port(make_rpc, options.rpc_port, before.get("rpc", 0))
        self._shuffle: ShuffleServer = _on_port(
            make_shuffle, options.shuffle_port, before.get("shuffle", 0)
        )
        self._shuffle.start()
        self.ports = {"rpc": self._rpc.port, "shuffle": self._shuffle.port}
        self._data.remember_ports(self.ports)

    def _make_link(self) -> TrackerLink:
        from mapreduce.worker.tracker_link import TrackerLink

        identity = Hello(
            worker_id=self.options.worker_id,
            incarnation=secrets.token_hex(8),
            host=self.options.advertised_host or self.options.host,
            rpc_port=self.ports["rpc"],
            shuffle_port=self.ports["shuffle"],
            slots=max(1, self.options.slots),
        )
        return TrackerLink(identity, self._find_tracker, self.post)

    # ── the loop ──

    def post(self, event: Event) -> None:
        """Any thread."""
        self._inbox.append(event)
        self._wake()

    def _wake(self) -> None:
        try:
            self._wake_write.send(b"\0")
        except BlockingIOError:
            pass  # it is awake already

    def _drain_wakes(self) -> None:
        try:
            while self._wake_read.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except BaseException as error:  # the root ends the process with it
            self._failure = error
            _log.exception("the worker's loop failed")
        finally:
            self._shut_down()
            self._ended.set()

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._timeout_s()):
            key.data(mask)
        self._pool.look_at_the_clock()
        events: list[Event] = []
        while self._inbox:
            events.append(self._inbox.popleft())
        events += self._pool.events
        self._pool.events = []
        self._driver.turn(events)

    def _timeout_s(self) -> float:
        if self._inbox or self._pool.events:
            return 0.0
        deadline_us = self._driver.core.next_deadline()
        timeout = 60.0 if deadline_us is None else (deadline_us - SystemClock().now().mono_us) / 1e6
        pool_at = self._pool.next_deadline_s()
        if pool_at is not None:
            timeout = min(timeout, pool_at - time.monotonic())
        return max(0.0, timeout)

    def _deliver(self, send: Send) -> None:
        if send.to == cmd.POOL:
            self._pool.deliver(send.message)
        elif send.to == cmd.TRACKER:
            self._link.deliver(send.message)
        else:
            self._to_disk(send.message)

    def _to_disk(self, message: Any) -> None:
        if isinstance(message, cmd.RememberEpoch):
            self._data.saw_epoch("tracker", message.epoch)
        elif isinstance(message, cmd.OfferOutput):
            self._shuffle.offer(message.job_id, message.attempt_id)
        elif isinstance(message, cmd.DropAttempt):
            self._shuffle.withdraw(message.job_id, message.attempt_id)
            self._directories.drop_attempt(message.job_id, message.attempt_id)
        elif isinstance(message, cmd.DropJob):
            self._shuffle.withdraw(message.job_id)
            self._directories.drop_job(message.job_id)
            self._directories.prune_logs()
        elif isinstance(message, cmd.MeasureRoom):
            self._room_watch.measure_now()
        elif isinstance(message, cmd.NoteRoom) and message.no_room:
            _log.warning("no slots are offered: %s", message.no_room)
        elif isinstance(message, cmd.NoteRoom):
            _log.info("there is room on the disk again: slots are offered")

    def _shut_down(self) -> None:
        self._room_watch.stop()
        self._link.stop()
        self._pool.stop()
        self._shuffle.stop()
        self._rpc.stop()
        self._directories.stop()
        self._data.close()


class LastKnown:
    """An address that the loop must not wait for: it gets the last one found while another thread
    looks again."""

    def __init__(self, find: Callable[[], str]) -> None:
        self._find = find
        self._found = ""
        self._looking = threading.Lock()

    def get(self) -> str:
        """Waits only when none was ever found. Raises Unavailable."""
        if not self._found:
            try:
                self._found = self._find()
            except (
                Exception
            ) as error:  # the root's function: whatever fails there, it is asked again
                raise Unavailable(f"the file system is not known yet: {error}") from error
        elif self._looking.acquire(blocking=False):
            threading.Thread(target=self._look, name="find", daemon=True).start()
        return self._found

    def _look(self) -> None:
        try:
            self._found = self._find() or self._found
        except (
            Exception
        ) as error:  # the root's function: whatever fails there, the last answer stands
            _log.warning("looking for the file system: %s", error)
        finally:
            self._looking.release()


def _on_port(make: Callable[[int], Any], wanted: int, before: int) -> Any:
    """On the wanted port; without a wish on the one of last time if it is free, so that peers find
    it again."""
    if not wanted and before:
        try:
            return make(before)
        except (PortInUse, OSError) as error:
            _log.warning("port %d of last time is taken (%s): another one is used", before, error)
    return make(wanted)
