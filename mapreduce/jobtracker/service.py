"""The job tracker as a process: its core in a driver of its own thread, the journal, gRPC on one
port, the publisher, one campaign.

Until it leads it listens (its address must be known to be elected) and answers "try again". It
leads for as long as the leadership lasts: a failed append, a lost leadership or a worker that has
seen a newer tracker ends the process; `wait` raises why.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusterkit.clock import SystemClock
from clusterkit.driver import Driver
from clusterkit.effects import Edit, Send
from clusterkit.errors import ClusterError, Fenced, PortInUse, TryAgain
from clusterkit.homes import ServiceHome
from clusterkit.journal_local import LocalJournal
from clusterkit.rpc import format_address, make_server
from clusterkit.rpc.lanes import Lane
from clusterkit.service import DataDirectory
from coordinator.api import Candidate, Coordinator, Leadership, Member
from mapreduce.jobtracker.core import edits, events
from mapreduce.jobtracker.core.options import Options
from mapreduce.jobtracker.core.tracker import JobTracker
from mapreduce.jobtracker.edit_codec import edit_codec, is_checkpoint
from mapreduce.jobtracker.mailbox import Reply, Stream
from mapreduce.jobtracker.publisher import Publisher
from mapreduce.jobtracker.rpc_clients import ClientCalls
from mapreduce.jobtracker.rpc_workers import WorkerCalls
from mapreduce.pb import tracker_pb2_grpc as pb_grpc
from mapreduce.storage.api import Storage

SERVICE, ROLE = "tracker", "tracker"
ADOPTING = "mrc tracker adopt {directory} --accept-lost-jobs"
SEGMENT_BYTES = 4 << 20
THREADS = 32
LANES = {
    "Attend": Lane(
        512, 16
    ),  # each attending worker and each watching client holds one for as long as it is there
    "Watch": Lane(128, 16),
    "Report": Lane(64, 1_024),
    "Commit": Lane(16, 1_024),
    "Submit": Lane(2, 64),  # the dear ones
}
"""Calls that park or that workers make have threads of their own: no number of workers keeps
clients from being served, nor the other way round. Threads are made when they are needed."""

STANDBY_AFTER_S = 2.0
"""How long `start` waits to be elected before it returns as a standby."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    node_id: str
    data_directory: Path
    host: str = "127.0.0.1"
    port: int = 0  # 0 = the one bound last time, else any
    advertised_host: str = ""  # what others connect to; empty = host
    core: Options = field(default_factory=Options)


class TrackerService:
    def __init__(
        self,
        options: TrackerOptions,
        coordinator: Coordinator,
        storage_factory: Callable[[str], Storage],
    ) -> None:
        self.options = options
        self.epoch = 0
        self._coordinator, self._storage_factory = coordinator, storage_factory
        self._leading, self._ended = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._stop_lock, self._stopped = threading.Lock(), False
        self._streams: set[Stream] = set()
        self._leadership: Leadership | None = None
        self._publisher: Publisher | None = None
        self._thread: threading.Thread | None = None

    # ── the face of every service ─────────────────────────────────────────────────────────────────

    @property
    def address(self) -> str:
        return format_address(self.options.advertised_host or self.options.host, self._server.port)

    @property
    def ports(self) -> Mapping[str, int]:
        return {"rpc": self._server.port}

    @property
    def state(self) -> str:
        return "active" if self._leading.is_set() else "standby"

    def start(self) -> None:
        options = self.options
        self._data = DataDirectory.open(options.data_directory, ROLE, options.node_id)
        self._home = ServiceHome(
            SERVICE, self._data, self._coordinator.config, what="list of jobs", adopting=ADOPTING
        )
        self._settle()
        self._journal = LocalJournal(
            options.data_directory / "journal", segment_bytes=SEGMENT_BYTES
        )
        self._core = JobTracker(options.core, random.Random())
        self._driver = Driver(
            self._core,
            self._journal,
            edit_codec(),
            self._deliver,
            SystemClock(),
            durable=self._forget_before_checkpoint,
            lease_deadline_us=self._lease_deadline_us,
        )
        self._serve()
        self._coordinator.membership.join(
            Member(ROLE, options.node_id, self.address, {"state": "standby"})
        )
        self._thread = threading.Thread(
            target=self._lead_until_the_end, name="tracker-core", daemon=True
        )
        self._thread.start()
        self._leading.wait(STANDBY_AFTER_S)
        if self._failure is not None:
            self.stop()
            raise self._failure

    def wait(self) -> None:
        self._ended.wait()
        self.stop()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Any thread may call it; the orderly end happens once."""
        self._driver.stop()
        self._ended.set()
        with self._stop_lock:
            if self._stopped:
                return
            self._stopped = True
            self._leading.clear()
            for stream in list(self._streams):
                stream.close()
            self._server.stop(0.2)
            if (
                self.epoch
                and self._thread is not None
                and self._thread is not threading.current_thread()
            ):
                self._thread.join(
                    5.0
                )  # one that never led is still campaigning, and ends with the process
            if self._publisher is not None:
                self._publisher.stop()
            if self._leadership is not None:
                with contextlib.suppress(ClusterError):  # the coordinator may be gone already
                    self._leadership.resign()
            self._journal.close()
            self._data.close()

    # ── beginning ─────────────────────────────────────────────────────────────────────────────────

    def _settle(self) -> None:
        """The journal lies in this directory alone, so there is one tracker: the first one that
        ever started. Raises NotTheHome."""
        try:
            if self._home.known() is None:
                self._home.take(self._data.highest_epoch(SERVICE))
            else:
                self._home.check()
        except BaseException:
            self._data.close()
            raise

    def _serve(self) -> None:
        """Binds the configured port, else the last one, else any."""
        wanted = self.options.port or self._data.ports.get("rpc", 0)
        try:
            self._listen(wanted)
        except PortInUse:
            if self.options.port or not wanted:
                raise
            self._listen(0)
        self._data.remember_ports(self.ports)

    def _listen(self, port: int) -> None:
        self._server = make_server(
            self.options.host, port, threads=THREADS, name="tracker-rpc", lanes=LANES
        )
        self._server.add(
            pb_grpc.add_TrackerServicer_to_server, ClientCalls(self._post, self._output_uri)
        )
        self._server.add(
            pb_grpc.add_TrackerForWorkersServicer_to_server,
            WorkerCalls(self._post, lambda: self.epoch, self._highest_epoch),
        )
        self._server.start()

    def _lead_until_the_end(self) -> None:
        try:
            last_epoch = max(
                [
                    self._data.highest_epoch(SERVICE),
                    *(record.epoch for record in self._journal.read()),
                ]
            )
            candidate = Candidate(self.options.node_id, self.address, self._data.place)
            self._leadership = self._coordinator.election.campaign(
                SERVICE,
                candidate,
                at_least_epoch=last_epoch,
                on_lost=lambda: self._fail(Fenced("this tracker's leadership is over")),
                alive=self._driver.alive,
            )
            epoch = self._leadership.epoch
            self._home.check()  # somebody may have adopted another directory while this one waited
            self._data.saw_epoch(SERVICE, epoch)
            self._home.take(epoch)
            replayed = self._driver.replay(self._replay_from())
            self.epoch = epoch
            self._publisher = Publisher(self._storage_factory, epoch, self._driver.post, self._fail)
            self._driver.turn([events.BecameLeader(epoch)])
            _log.info("leading with epoch %d after %d edits", epoch, replayed)
            self._leading.set()
            self._driver.run()
        except Exception as error:  # the process ends with it, whatever it is; memory is discarded
            self._fail(error)

    def _replay_from(self) -> int:
        """Edits before the last checkpoint may refer to what was forgotten; the checkpoint replaces
        them."""
        start = 0
        for record in self._journal.read():
            if is_checkpoint(record.payload):
                start = record.txid - 1
        return start

    def _fail(self, error: BaseException) -> None:
        if self._failure is None and not self._ended.is_set():
            self._failure = error
            self._leading.set()  # a starter that waits for it looks at the failure
            self._driver.stop()
            self._ended.set()

    # ── in and out of the core ────────────────────────────────────────────────────────────────────

    def _post(self, event: Any) -> None:
        if isinstance(event, events.StreamEnded | events.WatchEnded):
            self._streams.discard(
                event.stream if isinstance(event, events.StreamEnded) else event.reply_to
            )
        elif not self._leading.is_set() or self._ended.is_set():
            raise TryAgain(
                f"tracker {self.options.node_id} does not lead (yet)", next_command="mrc status"
            )
        elif isinstance(event, events.WorkerAttended):
            self._streams.add(event.stream)
        elif isinstance(event, events.WatchJob):
            self._streams.add(event.reply_to)
        self._driver.post(event)

    def _deliver(self, send: Send) -> None:
        to = send.to
        if isinstance(to, Reply | Stream):
            to.put(send.message)
        elif to == events.PUBLISHER:
            assert self._publisher is not None
            self._publisher.take(send.message)
        else:
            self._fail(Fenced(send.message.reason, next_command="mrc status"))

    def _forget_before_checkpoint(self, durable: list[Edit]) -> None:
        for edit in durable:
            if isinstance(edit.op, edits.Checkpoint):
                self._journal.forget(edit.txid - 1)

    def _lease_deadline_us(self) -> int | None:
        return self._leadership.deadline_us() if self._leadership is not None else None

    def _highest_epoch(self) -> int:
        return self._coordinator.election.highest_epoch(SERVICE)

    def _output_uri(self, path: str) -> str:
        if "://" in path or self._publisher is None:
            return path
        try:
            return self._publisher.storage().uri(path)
        except (ClusterError, OSError):  # the file system is away; the path alone still tells
            return path
