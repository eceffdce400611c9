"""A datanode: its data directory and volumes, the data plane, the agent on its driver, the link to
the namenode, the scrub.

Order of a start: lock the directory, open the volumes (another cluster's are refused), read what
they hold, bind the ports (and remember them), register. It serves what it holds before any namenode
answers. A halt by the agent (another cluster), a failed fsync of its identity or a fenced epoch
ends the process: `wait` raises it.
"""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusterkit.clock import Clock, SystemClock
from clusterkit.driver import Driver
from clusterkit.effects import Send
from clusterkit.listening import bind_refusal
from clusterkit.rpc import format_address
from clusterkit.service import DataDirectory
from minihdfs.datanode.core import events as e
from minihdfs.datanode.core.agent import Agent, AgentOptions
from minihdfs.datanode.core.scan_plan import ScanOptions
from minihdfs.datanode.files.block_store import BlockStore
from minihdfs.datanode.files.volumes import open_volumes, tend_volumes
from minihdfs.datanode.identity_journal import CODEC, NAMENODE_SERVICE, IdentityJournal
from minihdfs.datanode.ipc_server import IpcServer
from minihdfs.datanode.namenode_link import NamenodeLink
from minihdfs.datanode.replicator import Replicator
from minihdfs.datanode.scanner import Scanner
from minihdfs.datanode.transfer.context import TransferContext, TransferOptions
from minihdfs.datanode.transfer.fd_server import DescriptorServer
from minihdfs.datanode.transfer.server import TransferServer
from minihdfs.datanode.worker_pool import Work
from minihdfs.errors import WrongCluster
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeUsage

log = logging.getLogger(__name__)

ROLE = "datanode"
EVERYWHERE = ("0.0.0.0", "::", "")


@dataclass(frozen=True, slots=True)
class DatanodeServiceOptions:
    """A port of 0 is the one bound last time, else the preferred one if free, else any."""

    node_id: str
    data_dir: Path
    host: str = "127.0.0.1"
    # what others connect to; "" = host, or where the namenode sees us when that is everywhere
    advertised_host: str = ""
    hostname: str = ""  # for people and locality; "" = this machine's name
    rack: str = "/default-rack"
    port: int = 0  # DataTransferProtocol
    ipc_port: int = 0  # ClientDatanodeProtocol
    preferred_port: int = 0
    preferred_ipc_port: int = 0
    more_volumes: tuple[
        Path, ...
    ] = ()  # block directories on other disks; the first is data_dir/blocks
    reserve_bytes: int = 256 << 20  # left free on each disk
    full_report_interval_s: float = 600.0
    call_timeout_s: float = 10.0
    copies_max: int = 2
    transfer: TransferOptions = field(default_factory=TransferOptions)
    scan: ScanOptions = field(default_factory=ScanOptions)
    scan_bytes_per_s: int = 16 << 20


class DatanodeService:
    def __init__(
        self,
        options: DatanodeServiceOptions,
        find_namenode: Callable[[], str],
        *,
        clock: Clock | None = None,
    ) -> None:
        """`find_namenode` gives "host:port" where the leading namenode serves datanodes, or raises
        ClusterError when nobody leads."""
        self._options, self._find_namenode, self._clock = (
            options,
            find_namenode,
            clock or SystemClock(),
        )
        self._ports: dict[str, int] = {}
        self._driver: Driver | None = None
        self._thread: threading.Thread | None = None
        self._stoppers: list[Callable[[], None]] = []
        self._ended = threading.Event()
        self._failure: BaseException | None = None

    # ── the face every service has ────────────────────────────────────────────────────────────────

    @property
    def address(self) -> str:
        """Of the data plane."""
        host = self._advertised_host or socket.gethostname()
        return format_address(host, self._ports["xfer"])

    @property
    def ports(self) -> Mapping[str, int]:
        """`xfer` (DataTransferProtocol) and `ipc` (Hadoop RPC)."""
        return dict(self._ports)

    def start(self) -> None:
        """Returns when blocks are served; registering goes on beside. Raises ClusterError when it
        cannot serve."""
        try:
            self._start()
        except BaseException:
            self._close()
            raise

    def wait(self) -> None:
        """Blocks until stopped. Raises what made it fail: the process must end then."""
        self._ended.wait()
        self._close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self._ended.set()

    # ── starting ──────────────────────────────────────────────────────────────────────────────────

    @property
    def _advertised_host(self) -> str:
        """ "" when the namenode is to go by where it sees us."""
        options = self._options
        return options.advertised_host or ("" if options.host in EVERYWHERE else options.host)

    def _start(self) -> None:
        options = self._options
        directory = DataDirectory.open(options.data_dir, ROLE, options.node_id)
        self._stoppers.append(directory.close)
        volumes = open_volumes(
            directory, (options.data_dir / "blocks", *options.more_volumes), options.reserve_bytes
        )
        store = BlockStore(volumes)
        context = TransferContext(store, options.transfer)
        replicator = Replicator(context)
        domain_socket = self._listen(directory, context, replicator)
        agent = Agent(
            self._agent_options(domain_socket),
            random.Random(),
            cluster_id=directory.cluster_id,
            epoch=directory.highest_epoch(NAMENODE_SERVICE),
        )
        driver = Driver(
            agent,
            IdentityJournal(directory, store, options.node_id),
            CODEC,
            self._deliver,
            self._clock,
        )
        scanner = Scanner(
            context,
            self._clock,
            options.data_dir / "scan.json",
            options.scan,
            options.scan_bytes_per_s,
        )
        self._driver = driver
        self._connect(context, driver, scanner)
        self._link = NamenodeLink(
            self._find_namenode, self._usage(context), driver.post, options.call_timeout_s * 0.9
        )
        self._work = Work(store, replicator, driver.post, options.copies_max + 2)
        self._stoppers += [scanner.stop, self._work.stop, self._link.stop, tend_volumes(volumes)]
        replicas, unfinished, bad = (
            tuple(store.finalized()),
            tuple(store.unfinished()),
            tuple(store.bad()),
        )
        log.info(
            "%d replicas in %s", len(replicas), ", ".join(str(volume.root) for volume in volumes)
        )
        driver.post(e.ReplicasListed(replicas, unfinished, bad))
        for block in (*bad, *unfinished):
            scanner.suspect(block)  # what was wrong at the last look may have passed
        self._link.start()
        scanner.start()
        self._thread = threading.Thread(target=self._run, args=(driver,), name="agent", daemon=True)
        self._thread.start()

    def _agent_options(self, domain_socket: str) -> AgentOptions:
        options = self._options
        address = DatanodeAddress(
            uuid=options.node_id,
            host=self._advertised_host,
            hostname=options.hostname or options.advertised_host or socket.gethostname(),
            xfer_port=self._ports["xfer"],
            ipc_port=self._ports["ipc"],
            rack=options.rack,
            domain_socket=domain_socket,
        )
        return AgentOptions(
            address,
            full_report_interval_us=int(options.full_report_interval_s * 1e6),
            call_timeout_us=int(options.call_timeout_s * 1e6),
            copies_max=options.copies_max,
        )

    def _listen(
        self, directory: DataDirectory, context: TransferContext, replicator: Replicator
    ) -> str:
        """Binds the ports and the unix socket; returns its path. Streams that come before the agent
        runs wait in its inbox."""
        options = self._options
        transfer, ipc, descriptors = (
            TransferServer(context, replicator.transfer),
            IpcServer(context.store),
            DescriptorServer(context),
        )
        self._stoppers += [transfer.stop, ipc.stop, descriptors.stop]
        remembered = directory.ports
        self._ports["xfer"] = self._bind(
            transfer.start, options.port, remembered.get("xfer", 0) or options.preferred_port
        )
        self._ports["ipc"] = self._bind(
            ipc.start, options.ipc_port, remembered.get("ipc", 0) or options.preferred_ipc_port
        )
        directory.remember_ports(self._ports)
        return descriptors.start(options.data_dir / "descriptors.sock")

    def _bind(self, start: Callable[[str, int], int], port: int, wished: int) -> int:
        host = self._options.host
        if not port and wished:
            # Somebody has it: any other will do, and is kept from now on. Addresses are told anew
            # with each registration.
            with contextlib.suppress(OSError):
                return start(host, wished)
        try:
            return start(host, port)
        except OSError as error:
            raise bind_refusal(host, port, error) from None

    @staticmethod
    def _connect(context: TransferContext, driver: Driver, scanner: Scanner) -> None:
        """Whom the data plane tells what."""

        def gone(block: BlockRef) -> None:
            if context.store.drop_if_gone(block):
                driver.post(e.ReplicasDeleted((block,)))

        context.finalized = lambda block: driver.post(e.ReplicaFinalized(block))
        context.left = lambda block: driver.post(e.ReplicaLeft(block))
        context.tell_bad = lambda block: driver.post(e.ReplicaFoundBad(block))
        context.store.lost = lambda blocks: driver.post(e.ReplicasDeleted(blocks))
        context.suspected = scanner.suspect
        context.gone = gone

    @staticmethod
    def _usage(context: TransferContext) -> Callable[[], DatanodeUsage]:
        return lambda: context.store.usage(context.streams)

    # ── running and ending ────────────────────────────────────────────────────────────────────────

    def _run(self, driver: Driver) -> None:
        try:
            driver.run()
        except BaseException as error:
            self._fail(error)

    def _deliver(self, send: Send) -> None:
        message: Any = send.message
        if send.to == e.NAMENODE:
            self._link.send(message)
        elif isinstance(message, e.Halt):
            self._fail(WrongCluster(message.message, next_command=f"ls {self._options.data_dir}"))
        else:
            self._work.begin(message)

    def _fail(self, error: BaseException) -> None:
        if not self._ended.is_set():
            self._failure = error
        self._ended.set()

    def _close(self) -> None:
        if self._driver is not None:
            self._driver.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5)
        stoppers, self._stoppers = self._stoppers, []
        for stop in reversed(stoppers):
            stop()
