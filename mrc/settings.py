"""Every setting of a cluster, key by key, with its default and unit. `mrc config` prints them with
their origins.

Durations are seconds, sizes bytes. `0` for a port means: Hadoop's own when it is free, else any,
and the same again after a restart.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from clusterkit.config import check_listen_host, check_reachable, load
from clusterkit.errors import UsageError
from coordinator.errors import masked
from coordinator.home import Home

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=30 * 86400)]
Bytes = Annotated[int, Meta(ge=0, le=1 << 60)]
Name = Annotated[str, Meta(pattern=r"^[^\s:,/\x00-\x1f\x7f]+$", max_length=255)]


class Cluster(msgspec.Struct, frozen=True):
    coordinator: str = "embedded"  # files of the home; or zk://HOST:PORT[,HOST:PORT…]/PATH
    session_timeout_s: Seconds = (
        6.0  # after this silence the coordinator takes a leader or member for gone
    )


class Security(msgspec.Struct, frozen=True):
    # or "private-network": said in words before anything listens beyond this machine
    mode: str = "loopback"


class Network(msgspec.Struct, frozen=True):
    listen_host: str = "127.0.0.1"
    # a daemon that starts for the first time takes Hadoop's own port if it is free, else any
    hadoop_ports: bool = True
    # what other machines connect to; empty = listen_host, or the host's name when that is 0.0.0.0
    advertised_host: str = ""


class Namenode(msgspec.Struct, frozen=True):
    port: Port = 0
    replication: Annotated[int, Meta(ge=0, le=512)] = (
        0  # of new files; 0 = min(3, datanodes when the cluster was formatted)
    )
    block_bytes: Annotated[int, Meta(ge=1024, le=1 << 40)] = 128 << 20
    dead_after_s: Seconds = (
        10.0  # silence after which a datanode's replicas are made again elsewhere
    )
    heartbeat_interval_s: Seconds = 0.5
    permissions: bool = True
    supergroup: Name = "supergroup"


class Filesystem(msgspec.Struct, frozen=True):
    # how long shells keep what is deleted in .Trash, told to every client; 0 = they delete at once
    trash_interval_s: int = 0


class Datanode(msgspec.Struct, frozen=True):
    port: Port = 0
    full_report_interval_s: Seconds = 600.0
    reserved_bytes: Bytes = 256 << 20  # left free on the disk: blocks are refused below it
    rack: Annotated[str, Meta(pattern=r"^(/[^/\s]+)+$", max_length=255)] = "/default-rack"


class Tracker(msgspec.Struct, frozen=True):
    port: Port = 0
    worker_dead_after_s: Seconds = 5.0  # silence after which a worker's tasks are run elsewhere
    worker_detached_after_s: Seconds = 2.0  # the same once its connection has been closed under it


class Worker(msgspec.Struct, frozen=True):
    slots: Annotated[int, Meta(ge=0, le=4096)] = (
        0  # task processes at a time; 0 = a core each; `mrc up` shares the cores among its workers
    )
    heartbeat_interval_s: Seconds = 0.5
    # of the scratch disk: with less free a worker is given no task while another has room
    reserved_bytes: Bytes = 64 << 20


class Settings(msgspec.Struct, frozen=True):
    cluster: Cluster = Cluster()
    security: Security = Security()
    network: Network = Network()
    namenode: Namenode = Namenode()
    filesystem: Filesystem = Filesystem()
    datanode: Datanode = Datanode()
    tracker: Tracker = Tracker()
    worker: Worker = Worker()


TRASH_INTERVAL_MAX_S = 10 * 366 * 86_400


def read_settings(home: Home, flags: Sequence[str] = ()) -> tuple[Settings, dict[str, str]]:
    """The settings of a home and the origin of each that is not a default. Raises UsageError."""
    settings, origins = load(Settings, file=home.config_file, environment=os.environ, flags=flags)
    _check_relations(settings)
    return settings, origins


def _check_relations(settings: Settings) -> None:
    network, namenode = settings.network, settings.namenode
    check_listen_host(network.listen_host, settings.security.mode)
    check_reachable("network.listen_host", network.listen_host, here=True)
    if network.advertised_host:
        check_reachable("network.advertised_host", network.advertised_host, here=False)
    taken: dict[int, str] = {}
    for name, port in (
        ("namenode", namenode.port),
        ("datanode", settings.datanode.port),
        ("tracker", settings.tracker.port),
    ):
        if port and port in taken:
            raise UsageError(
                f"{taken[port]} and {name}.port are both {port}: only one can have it",
                next_command="mrc config",
            )
        taken[port] = f"{name}.port"
    if namenode.dead_after_s < 3 * namenode.heartbeat_interval_s:
        raise UsageError(
            f"namenode.dead_after_s = {namenode.dead_after_s:g} is less than three heartbeats "
            f"({namenode.heartbeat_interval_s:g} s each): "
            "healthy datanodes would be declared dead"
        )
    if not 0 <= settings.filesystem.trash_interval_s <= TRASH_INTERVAL_MAX_S:
        raise UsageError(
            f"filesystem.trash_interval_s = {settings.filesystem.trash_interval_s} is not within "
            f"0…{TRASH_INTERVAL_MAX_S} (ten years)"
        )
    if settings.tracker.worker_dead_after_s < 3 * settings.worker.heartbeat_interval_s:
        raise UsageError(
            "tracker.worker_dead_after_s is less than three worker heartbeats: healthy workers "
            "would be declared dead"
        )
    named = settings.cluster.coordinator
    if named != "embedded" and not named.startswith("zk://"):
        raise UsageError(
            f'cluster.coordinator = "{masked(named)}" is neither "embedded" (files of the home) '
            "nor zk://HOST:PORT/PATH"
        )
