"""A namenode: its data directory, journal and store, the loop that serves clients, gRPC for
datanodes, and the campaign to lead.

Order of a start: lock the directory, learn whose cluster it is, open store and journal, replay,
bind both ports (and remember them), answer Standby, campaign, persist the epoch, lead. Any failure
of the journal, the store or the lease ends the process: `wait` raises it, memory is discarded.
Formatting happens only on an empty directory of a cluster nobody has named yet.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterkit.clock import Clock, SystemClock
from clusterkit.driver import Driver
from clusterkit.effects import Event, Send
from clusterkit.errors import Fenced, Unavailable
from clusterkit.homes import ServiceHome
from clusterkit.journal import Journal
from clusterkit.journal_local import LocalJournal
from clusterkit.listening import bind_refusal
from clusterkit.rpc import Server, format_address
from clusterkit.service import DataDirectory
from coordinator.api import Candidate, Conflict, Coordinator, Leadership
from minihdfs.errors import Standby, WrongCluster
from minihdfs.namenode.core.events import LeadershipGained
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.tree.elected import COORDINATOR
from minihdfs.namenode.datanode_server import datanode_server
from minihdfs.namenode.edit_codec import CODEC
from minihdfs.namenode.epoch_reader import EpochReader
from minihdfs.namenode.hadoop_connection import Limits
from minihdfs.namenode.hadoop_server import RpcLoop, listen
from minihdfs.namenode.methods.table import Facts
from minihdfs.namenode.os_groups import OsGroups
from minihdfs.namenode.store.flusher import StoreFlusher
from minihdfs.namenode.store.lmdb import LmdbStore

LOG = logging.getLogger(__name__)
SERVICE = "namenode"
CLUSTER_ID_KEY = "cluster_id"
ADOPTING = "mrc namenode adopt {directory} --accept-lost-edits"


@dataclass(frozen=True, slots=True)
class NamenodeServiceOptions:
    """`core.cluster_id` is filled in by the service. A port of 0 is the one bound last time, else
    `preferred_port` if free, else any."""

    node_id: str
    data_dir: Path
    core: Options
    host: str = "127.0.0.1"
    advertised_host: str = ""  # what others connect to; "" = host
    port: int = 0  # Hadoop RPC: clients
    datanode_port: int = 0  # gRPC: datanodes
    preferred_port: int = 0
    limits: Limits = dataclasses.field(default_factory=Limits)


class NamenodeService:
    def __init__(
        self,
        options: NamenodeServiceOptions,
        coordinator: Coordinator,
        *,
        clock: Clock | None = None,
        open_journal: Callable[[Path], Journal] | None = None,
    ) -> None:
        self._options, self._coordinator, self._clock = options, coordinator, clock or SystemClock()
        self._open_journal = open_journal
        self._facts = Facts()
        self._leadership: Leadership | None = None
        self._directory: DataDirectory | None = None
        self._grpc: Server | None = None
        self._loop: RpcLoop | None = None
        self._flusher: StoreFlusher | None = None
        self._thread: threading.Thread | None = None
        self._ports: dict[str, int] = {}
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._closers: list[Callable[[], None]] = []
        self._epoch_reader = EpochReader(
            coordinator.election.highest_epoch, self._post_while_serving
        )

    # ── the face every service has ────────────────────────────────────────────────────────────────

    @property
    def address(self) -> str:
        """Of Hadoop RPC: what clients connect to. Raises Unavailable before it is bound."""
        return self._bound("rpc")

    @property
    def datanode_address(self) -> str:
        """Of gRPC: what datanodes connect to. Raises Unavailable before it is bound."""
        return self._bound("datanode")

    def _bound(self, name: str) -> str:
        if name not in self._ports:
            raise Unavailable(f"namenode {self._options.node_id} does not serve yet")
        return format_address(self._advertised_host, self._ports[name])

    @property
    def ports(self) -> Mapping[str, int]:
        """`rpc` (Hadoop RPC) and `datanode` (gRPC)."""
        return dict(self._ports)

    @property
    def fs_uri(self) -> str:
        return f"hdfs://{self.address}"

    @property
    def epoch(self) -> int:
        return self._facts.epoch

    @property
    def cluster_id(self) -> str:
        return self._facts.cluster_id

    def connected(self) -> list[str]:
        """The hosts of the clients connected now."""
        return [] if self._loop is None else self._loop.connected()

    def start(self) -> None:
        """Returns when this namenode leads and answers. Raises ClusterError when it cannot."""
        try:
            self._start()
        except BaseException:
            self.stop()
            self._close()
            raise

    def wait(self) -> None:
        """Blocks until stopped. Raises what made it fail: the process must end then."""
        self._ended.wait()
        self._close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """An orderly end: what was answered is in the store, leadership is given up."""
        if self._loop is not None:
            self._loop.stop()
        else:
            self._ended.set()

    # ── starting ──────────────────────────────────────────────────────────────────────────────────

    @property
    def _advertised_host(self) -> str:
        return self._options.advertised_host or self._options.host

    def _start(self) -> None:
        options = self._options
        directory = self._directory = DataDirectory.open(options.data_dir, SERVICE, options.node_id)
        self._closers.append(directory.close)
        self._facts.cluster_id = self._cluster_of(directory)
        home = ServiceHome(
            SERVICE, directory, self._coordinator.config, what="file system", adopting=ADOPTING
        )
        home.check()
        cluster_id, store_path = self._facts.cluster_id, options.data_dir / "store"
        store = LmdbStore(store_path, cluster_id)
        self._closers.append(store.close)
        counters, journal_path = store.counters(), options.data_dir / "journal"
        stored_txid = counters.txid if counters is not None else 0
        journal = (
            self._open_journal(journal_path)
            if self._open_journal
            else LocalJournal(journal_path, stored_txid=stored_txid)
        )
        self._closers.append(journal.close)
        core = Namesystem(
            dataclasses.replace(options.core, cluster_id=cluster_id), store, random.Random()
        )
        groups = OsGroups(options.core.superuser, options.core.supergroup, time.monotonic)
        loop = RpcLoop(
            [self._listen(directory)],
            facts=self._facts,
            groups=groups,
            clock=self._clock,
            limits=options.limits,
        )
        self._loop = loop
        flusher = self._flusher = StoreFlusher(
            core, journal, store_path, cluster_id, self._post_while_serving
        )
        flusher.start()
        loop.each_second = flusher.turned
        driver = Driver(
            core,
            journal,
            CODEC,
            self._deliver,
            self._clock,
            durable=flusher.durable,
            lease_deadline_us=self._lease_deadline_us,
        )
        replayed = driver.replay(core.txid)
        LOG.info("cluster %s: %d edits replayed, txid %d", cluster_id, replayed, core.txid)
        self._grpc = datanode_server(
            options.host, options.datanode_port or directory.ports.get("datanode", 0), loop.post
        )
        self._ports["datanode"] = self._grpc.start()
        directory.remember_ports(self._ports)
        self._thread = threading.Thread(
            target=self._serve, args=(driver,), name="namenode", daemon=True
        )
        self._thread.start()
        self._campaign(
            directory, home, max(core.epoch, directory.highest_epoch(SERVICE)), driver.alive
        )

    def _cluster_of(self, directory: DataDirectory) -> str:
        """The cluster this directory belongs to; a new one when neither the directory nor the
        coordinator knows any."""
        known = self._known_cluster()
        if not directory.cluster_id and not known:
            # Only whose offer the coordinator takes has begun the cluster. The offer is written
            # down first, so that after a crash between the two the next start knows that the
            # cluster which then exists is its own.
            directory.form(directory.forming or secrets.token_hex(8))
            known = self._offer(directory.forming)
        if not directory.cluster_id:
            if known != directory.forming:
                directory.form("")
                raise WrongCluster(
                    f"{directory.path} is empty, but cluster {known} exists: serving an empty "
                    "file system would delete its blocks",
                    next_command=f"restore the namenode's data directory to {directory.path}",
                )
            directory.adopt(known)
        if not known:
            known = self._offer(directory.cluster_id)  # a coordinator that lost its memory
        if known != directory.cluster_id:
            raise WrongCluster(
                f"{directory.path} belongs to cluster {directory.cluster_id}, not to {known}",
                next_command=f"ls -la {directory.path}",
            )
        return directory.cluster_id

    def _known_cluster(self) -> str:
        setting = self._coordinator.config.get(CLUSTER_ID_KEY)
        return setting.value.decode(errors="replace") if setting is not None else ""

    def _offer(self, cluster_id: str) -> str:
        """The cluster that exists after this: the one offered, or another one that was faster."""
        with contextlib.suppress(Conflict):
            self._coordinator.config.set(CLUSTER_ID_KEY, cluster_id.encode(), version=0)
        return self._known_cluster()

    def _listen(self, directory: DataDirectory) -> socket.socket:
        options = self._options
        port = options.port or directory.ports.get("rpc", 0)
        listener: socket.socket | None = None
        if not port and options.preferred_port:
            with contextlib.suppress(
                OSError
            ):  # somebody has it: any other will do, and is kept from now on
                listener = listen(options.host, options.preferred_port)
        if listener is None:
            try:
                listener = listen(options.host, port)
            except OSError as error:
                raise bind_refusal(options.host, port, error) from None
        self._ports["rpc"] = listener.getsockname()[1]
        return listener

    def _campaign(
        self,
        directory: DataDirectory,
        home: ServiceHome,
        highest_epoch: int,
        alive: Callable[[], bool],
    ) -> None:
        # Clients connect to the first address, datanodes to the second.
        candidate = Candidate(
            self._options.node_id, f"{self.address},{self.datanode_address}", directory.place
        )
        leadership = self._coordinator.election.campaign(
            SERVICE,
            candidate,
            at_least_epoch=highest_epoch,
            on_lost=lambda: self._fail(Fenced("leadership was lost to another namenode")),
            alive=alive,
        )
        self._leadership = leadership
        home.check()  # somebody else may have led while this one waited
        directory.saw_epoch(SERVICE, leadership.epoch)
        home.take(leadership.epoch)
        self._facts.epoch = leadership.epoch
        assert self._loop is not None
        self._loop.post(LeadershipGained(leadership.epoch))
        LOG.info("leading with epoch %d", leadership.epoch)

    def _deliver(self, send: Send) -> None:
        assert self._loop is not None
        if send.to == COORDINATOR:
            self._epoch_reader.ask(send.message.service)
        else:
            self._loop.deliver(send)

    def _post_while_serving(self, event: Event) -> None:
        """For the flusher, which still writes after the loop's last round: then nobody needs to
        hear."""
        assert self._loop is not None
        with contextlib.suppress(Standby):
            self._loop.post(event)

    def _lease_deadline_us(self) -> int | None:
        return self._leadership.deadline_us() if self._leadership is not None else None

    # ── ending ────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, driver: Driver) -> None:
        assert self._loop is not None
        try:
            self._loop.run(driver)
        except BaseException as error:
            self._failure = self._failure or error
        finally:
            self._ended.set()

    def _fail(self, error: BaseException) -> None:
        """From any thread: nothing more is said, and `wait` raises."""
        if self._ended.is_set():
            return
        self._failure = self._failure or error
        self.stop()
        self._ended.set()

    def _close(self) -> None:
        if self._thread is not None:
            self._thread.join(10)
        elif self._loop is not None:
            self._loop.close()
        self._epoch_reader.stop()
        if self._grpc is not None:
            self._grpc.stop(0.2)
        if self._flusher is not None:
            if self._thread is not None and self._failure is None:
                self._flusher.stop()
            else:
                self._flusher.abandon()
        if self._leadership is not None and self._failure is None:
            self._leadership.resign()
        closers, self._closers = self._closers, []
        for close in reversed(closers):
            close()
