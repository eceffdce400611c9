"""How each role's service is put together from the settings: the only place that knows all the
parts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from clusterkit.config import check_listen_host
from clusterkit.listening import listen, own_address
from clusterkit.service import Service
from coordinator.api import Coordinator
from coordinator.errors import masked
from coordinator.home import Home
from coordinator.leaders import CoordinatorLeaders, HomeLeaders, Leaders
from mrc.settings import Settings

DEFAULT_PORTS = {"namenode": 8020, "datanode": 9866, "tracker": 8032}
PUBLISHER_PATIENCE_S = 2.0


def coordinator_of(home: Home, member_id: str, settings: Settings) -> Coordinator:
    from coordinator.connect import connect

    given = settings.cluster
    return connect(
        home.coordinator_url if given.coordinator == "embedded" else given.coordinator,
        member_id,
        given.session_timeout_s,
        security_mode=settings.security.mode,
    )


def leaders_of(home: Home, member_id: str, settings: Settings) -> Leaders:
    """A coordinator of several machines is connected when first needed: datanodes and workers ask
    it only for this."""
    if settings.cluster.coordinator == "embedded":
        return HomeLeaders(home)
    return CoordinatorLeaders(
        lambda: coordinator_of(home, member_id, settings), masked(settings.cluster.coordinator)
    )


def hosts(settings: Settings) -> tuple[str, str]:
    """(where to listen, what to tell others). Refuses to listen beyond loopback unless the
    configuration says so in words."""
    listen = settings.network.listen_host
    check_listen_host(listen, settings.security.mode)
    told = settings.network.advertised_host
    if not told and listen in ("0.0.0.0", "::"):
        told = own_address(listen == "::")
    return listen, told or listen


def namenode(home: Home, node_id: str, settings: Settings) -> Service:
    from minihdfs.client.filesystem import own_user
    from minihdfs.model import ServerDefaults
    from minihdfs.namenode.core.options import Options
    from minihdfs.namenode.service import NamenodeService, NamenodeServiceOptions

    listen, told = hosts(settings)
    given = settings.namenode
    trash_s = settings.filesystem.trash_interval_s
    defaults = ServerDefaults(
        block_bytes=given.block_bytes, replication=given.replication or 3, trash_interval_s=trash_s
    )
    core = Options(
        cluster_id="",
        superuser=own_user(),
        supergroup=given.supergroup,
        permissions_enabled=given.permissions,
        defaults=defaults,
        heartbeat_interval_us=int(given.heartbeat_interval_s * 1e6),
        dead_after_us=int(given.dead_after_s * 1e6),
    )
    options = NamenodeServiceOptions(
        node_id=node_id,
        data_dir=home.data("namenode", node_id),
        core=core,
        host=listen,
        advertised_host=told,
        port=given.port,
        preferred_port=preferred("namenode", settings),
    )
    return NamenodeService(options, coordinator_of(home, f"namenode-{node_id}", settings))


def datanode(home: Home, node_id: str, settings: Settings) -> Service:
    from minihdfs.datanode.service import DatanodeService, DatanodeServiceOptions

    listen, told = hosts(settings)
    leaders = leaders_of(home, f"datanode-{node_id}", settings)
    options = DatanodeServiceOptions(
        node_id=node_id,
        data_dir=home.data("datanode", node_id),
        host=listen,
        advertised_host=told,
        rack=settings.datanode.rack,
        port=settings.datanode.port,
        preferred_port=preferred("datanode", settings),
        reserve_bytes=settings.datanode.reserved_bytes,
        full_report_interval_s=settings.datanode.full_report_interval_s,
    )
    return DatanodeService(options, leaders.namenode_for_datanodes)


def tracker(home: Home, node_id: str, settings: Settings) -> Service:
    from mapreduce.jobtracker.core.options import Options
    from mapreduce.jobtracker.service import TrackerOptions, TrackerService
    from mapreduce.storage.api import Waiting
    from mapreduce.storage.opening import open_storage

    listen, told = hosts(settings)
    leaders = leaders_of(home, f"tracker-{node_id}-leaders", settings)
    dead_after_us, detached_after_us = (
        int(seconds * 1e6)
        for seconds in (
            settings.tracker.worker_dead_after_s,
            settings.tracker.worker_detached_after_s,
        )
    )
    options = TrackerOptions(
        node_id=node_id,
        data_directory=home.data("tracker", node_id),
        host=listen,
        advertised_host=told,
        port=settings.tracker.port or free_port(home, "tracker", node_id, listen, settings),
        core=Options(
            dead_after_us=dead_after_us, detached_after_us=min(detached_after_us, dead_after_us)
        ),
    )
    found = coordinator_of(home, f"tracker-{node_id}", settings)
    # Its publisher asks again by itself, for as long as it takes, and looks in between whether it
    # has to stop.
    return TrackerService(
        options,
        found,
        lambda user: open_storage(
            f"hdfs://{leaders.namenode()}", Waiting(PUBLISHER_PATIENCE_S), user
        ),
    )


def worker(home: Home, node_id: str, settings: Settings) -> Service:
    from mapreduce.worker.service import WorkerOptions, WorkerService

    listen, told = hosts(settings)
    leaders = leaders_of(home, f"worker-{node_id}", settings)
    options = WorkerOptions(
        worker_id=node_id,
        data_directory=home.data("worker", node_id),
        slots=settings.worker.slots or os.cpu_count() or 1,
        host=listen,
        advertised_host=told,
        heartbeat_s=settings.worker.heartbeat_interval_s,
        reserve_bytes=settings.worker.reserved_bytes,
    )
    return WorkerService(options, leaders.tracker, lambda: f"hdfs://{leaders.namenode()}")


def preferred(role: str, settings: Settings) -> int:
    return DEFAULT_PORTS[role] if settings.network.hadoop_ports else 0


def free_port(home: Home, role: str, node_id: str, host: str, settings: Settings) -> int:
    """Hadoop's own port for a daemon that starts for the first time, if it is free; 0 = the one it
    had, else any."""
    if not settings.network.hadoop_ports or (home.data(role, node_id) / "identity.json").exists():
        return 0
    with contextlib.suppress(OSError), listen(host, DEFAULT_PORTS[role]):
        return DEFAULT_PORTS[role]
    return 0


BUILDERS: dict[str, Callable[[Home, str, Settings], Service]] = {
    "namenode": namenode,
    "datanode": datanode,
    "tracker": tracker,
    "worker": worker,
}
