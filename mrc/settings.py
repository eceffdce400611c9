"""Every setting of a cluster, key by key, with its default and unit. `mrc config` prints them with their origins.

Durations are seconds, sizes bytes. `0` for a port means: Hadoop's own when it is free, else any, and the same again after a restart.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from clusterkit.config import load
from clusterkit.errors import UsageError
from mrc.home import Home


class Cluster(msgspec.Struct, frozen=True):
    coordinator: str = "embedded"  # or zk://HOST:PORT[,HOST:PORT…]/PATH
    session_timeout_s: float = 6.0  # after this silence the coordinator takes a leader or member for gone


class Security(msgspec.Struct, frozen=True):
    mode: str = "loopback"  # or "private-network": said in words before anything listens beyond this machine


class Network(msgspec.Struct, frozen=True):
    listen_host: str = "127.0.0.1"
    hadoop_ports: bool = True  # a daemon that starts for the first time takes Hadoop's own port if it is free, else any
    advertised_host: str = ""  # what other machines connect to; empty = listen_host, or the host's name when that is 0.0.0.0


class Namenode(msgspec.Struct, frozen=True):
    port: int = 0
    replication: int = 0  # of new files; 0 = min(3, datanodes when the cluster was formatted)
    block_bytes: int = 128 << 20
    dead_after_s: float = 10.0  # silence after which a datanode's replicas are made again elsewhere
    heartbeat_interval_s: float = 0.5
    permissions: bool = True
    supergroup: str = "supergroup"


class Datanode(msgspec.Struct, frozen=True):
    port: int = 0
    full_report_interval_s: float = 600.0
    reserved_bytes: int = 256 << 20  # left free on the disk: blocks are refused below it
    rack: str = "/default-rack"


class Tracker(msgspec.Struct, frozen=True):
    port: int = 0
    worker_dead_after_s: float = 5.0  # silence after which a worker's tasks are run elsewhere
    worker_detached_after_s: float = 2.0  # the same once its connection has been closed under it


class Worker(msgspec.Struct, frozen=True):
    slots: int = 0  # task processes at a time; 0 = one for each core; `mrc up` shares the cores among its workers
    heartbeat_interval_s: float = 0.5


class Settings(msgspec.Struct, frozen=True):
    cluster: Cluster = Cluster()
    security: Security = Security()
    network: Network = Network()
    namenode: Namenode = Namenode()
    datanode: Datanode = Datanode()
    tracker: Tracker = Tracker()
    worker: Worker = Worker()


def read_settings(home: Home, flags: Sequence[str] = ()) -> tuple[Settings, dict[str, str]]:
    """The settings of a home and the origin of each that is not a default. Raises UsageError."""
    settings, origins = load(Settings, file=home.config_file, environment=os.environ, flags=flags)
    _check_relations(settings)
    return settings, origins


def _check_relations(settings: Settings) -> None:
    namenode = settings.namenode
    if namenode.dead_after_s < 3 * namenode.heartbeat_interval_s:
        raise UsageError(
            f"namenode.dead_after_s = {namenode.dead_after_s:g} is less than three heartbeats ({namenode.heartbeat_interval_s:g} s each): "
            "healthy datanodes would be declared dead"
        )
    if settings.tracker.worker_dead_after_s < 3 * settings.worker.heartbeat_interval_s:
        raise UsageError("tracker.worker_dead_after_s is less than three worker heartbeats: healthy workers would be declared dead")
    if settings.cluster.coordinator != "embedded" and not settings.cluster.coordinator.startswith("zk://"):
        raise UsageError(f'cluster.coordinator = "{settings.cluster.coordinator}" is neither "embedded" nor zk://HOST:PORT/PATH')
