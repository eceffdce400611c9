"""What is true of a cluster now, gathered from those who know: the object that `mrc status -o json`
prints.

Asks the namenode and the tracker once each, with short deadlines: a cluster that is half down still
tells about the other half.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterkit.errors import ClusterError, Unavailable
from clusterkit.listening import format_address
from clusterkit.service import Announcement
from coordinator.connect import LOOKS_ONLY, SESSION_TIMEOUT_S
from coordinator.home import Home

if TYPE_CHECKING:
    from coordinator.api import Member
    from minihdfs.client.namenode_calls import NamenodeStatus
    from minihdfs.model import ServerDefaults

ROLES = ("namenode", "datanode", "tracker", "worker")
ASK_LIMIT_S = 3.0


@dataclass
class Facts:
    """The user contract's shape, with `problems` beside it for those who read text."""

    home: str
    backend: str
    services: list[dict[str, Any]]
    leaders: dict[str, dict[str, Any]] = field(default_factory=dict)
    filesystem: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=lambda: {"running": 0, "waiting": 0})
    problems: list[str] = field(default_factory=list)
    disk_bytes: int = (
        0  # of this machine's datanodes, 0 = not known: one disk that several share is counted once
    )
    can_store: bool = True  # a datanode has room for a block

    @property
    def ready(self) -> bool:
        """Can it store and run now?"""
        states: dict[str, set[str]] = {}
        for service in self.services:
            states.setdefault(service["role"], set()).add(service["state"])
        stores = "live" in states.get("datanode", ()) and self.filesystem.get("safe_mode") is False
        return bool(
            stores
            and self.can_store
            and self.leaders.get("tracker")
            and "live" in states.get("worker", ())
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "ready": self.ready,
            "home": self.home,
            "coordinator": {"backend": self.backend, "leaders": self.leaders},
            "filesystem": self.filesystem,
            "services": self.services,
            "jobs": self.jobs,
            "problems": self.problems,
        }


def gather(home: Home) -> Facts:
    """The facts of a one-machine cluster. Raises Unavailable when none of its daemons live."""
    announced = home.announced()
    services = [_row(a, home.is_alive(a.role, a.id)) for a in announced]
    if not any(row["state"] == "live" for row in services):
        raise Unavailable(f"no cluster is running in {home.path}", next_command="mrc up")
    facts = Facts(str(home.path), "embedded", services)
    facts.disk_bytes, _ = disks_of(services)
    for role, ask in (("namenode", ask_namenode), ("tracker", ask_tracker)):
        for announcement in announced:
            if announcement.role == role and home.is_alive(role, announcement.id):
                try:
                    ask(facts, announcement.id, announcement.address)
                except ClusterError as error:
                    facts.problems.append(error.message)
    return facts


def gather_remote(cluster: str) -> Facts:
    """The facts of a cluster of several machines, from its coordinator's members and leaders."""
    from coordinator.connect import connect

    coordinator = connect(
        cluster, f"mrc-{os.getpid()}", SESSION_TIMEOUT_S, security_mode=LOOKS_ONLY
    )
    try:
        members = [member for role in ROLES for member in coordinator.membership.members(role)]
        facts = Facts(cluster, "zookeeper", [_member_row(member) for member in members])
        for service, ask in (("namenode", ask_namenode), ("tracker", ask_tracker)):
            leader = coordinator.election.leader(service)
            if leader is None:
                facts.problems.append(f"no {service} leads")
                continue
            try:
                ask(facts, leader.id, leader.address.partition(",")[0])
            except ClusterError as error:
                facts.problems.append(error.message)
    finally:
        coordinator.close()
    return facts


def disks_of(services: list[dict[str, Any]]) -> tuple[int, int]:
    """(size, free) of the disks below this machine's living datanodes; one that several share is
    counted once."""
    sizes: dict[int, tuple[int, int]] = {}
    here = [
        service
        for service in services
        if service["role"] == "datanode" and service["state"] != "dead"
    ]
    for directory in (directory for service in here for directory in service["data_dirs"]):
        with contextlib.suppress(OSError):
            whole = os.statvfs(directory)
            sizes[os.stat(directory).st_dev] = (  # noqa: PTH116
                whole.f_blocks * whole.f_frsize,
                whole.f_bavail * whole.f_frsize,
            )
    return sum(size for size, _ in sizes.values()), sum(free for _, free in sizes.values())


def disks_of_home(home: Home) -> tuple[int, int]:
    return disks_of([_row(a, home.is_alive(a.role, a.id)) for a in home.announced("datanode")])


def _member_row(member: Member) -> dict[str, Any]:
    told = member.capabilities
    row = {
        "role": member.role,
        "id": member.id,
        "pid": int(told.get("pid", 0)),
        "address": member.address,
        "state": "live",
    }
    return row | {
        "data_dirs": [d for d in told.get("data_dirs", "").split(os.pathsep) if d],
        "log": told.get("log", ""),
    }


def _row(announcement: Announcement, alive: bool) -> dict[str, Any]:
    row = {
        "role": announcement.role,
        "id": announcement.id,
        "pid": announcement.pid,
        "address": announcement.address,
    }
    return row | {
        "state": "live" if alive else "dead",
        "data_dirs": announcement.data_dirs,
        "log": announcement.log,
    }


def ask_namenode(facts: Facts, node_id: str, address: str) -> None:
    from minihdfs.client.filesystem import own_user
    from minihdfs.client.namenode_calls import NamenodeClient
    from minihdfs.client.namenode_failover import CallOptions

    options = CallOptions(connect_timeout_s=1.0, call_timeout_s=ASK_LIMIT_S, patience_s=0.0)
    client = NamenodeClient(address, own_user(), options=options)
    try:
        status = client.get_status()
        client_defaults = client.get_server_defaults()
    finally:
        client.close()
    stats = status.stats
    if stats.missing_blocks:
        facts.problems.append(
            f"{stats.missing_blocks} of {stats.blocks} blocks are on no datanode that is here: "
            "their files cannot be read whole"
        )
    _tell_of_room(facts, status, client_defaults)
    facts.filesystem = {
        "uri": f"hdfs://{address}",
        "capacity_bytes": min(stats.capacity_bytes, facts.disk_bytes or stats.capacity_bytes),
        "used_bytes": stats.used_bytes,
        "files": stats.files,
        "blocks": stats.blocks,
        "under_replicated_blocks": stats.under_replicated_blocks,
        "missing_blocks": stats.missing_blocks,
        "corrupt_blocks": stats.corrupt_blocks,
        "safe_mode": stats.safe_mode,
        "live_datanodes": sum(row.state in ("live", "stale") for row in status.datanodes),
    }
    facts.leaders["namenode"] = {"id": node_id, "epoch": status.epoch}
    _set_states(facts, "namenode", {address: "active"})
    _set_states(
        facts,
        "datanode",
        {
            format_address(row.address.host, row.address.xfer_port): row.state
            for row in status.datanodes
        },
    )


def _tell_of_room(facts: Facts, status: NamenodeStatus, defaults: ServerDefaults) -> None:
    """A disk is named that takes no block more, and the service that fills it."""
    live = [row for row in status.datanodes if row.state in ("live", "stale")]
    full = [row for row in live if row.usage.remaining_bytes < defaults.block_bytes]
    facts.can_store = not live or len(full) < len(live)
    for row in full:
        address = f"{row.address.host}:{row.address.xfer_port}"
        service = next(
            (s for s in facts.services if s["role"] == "datanode" and s["address"] == address), None
        )
        where = (
            f"datanode {service['id']}: {', '.join(service['data_dirs'])}"
            if service
            else f"datanode {address}"
        )
        left = (
            f"{row.usage.remaining_bytes} bytes free beyond datanode.reserved_bytes, and a "
            f"block is {defaults.block_bytes}"
        )
        facts.problems.append(f"{where}: the disk is full: {left}")


def ask_tracker(facts: Facts, node_id: str, address: str) -> None:
    from clusterkit.rpc import make_channel
    from mapreduce.pb import tracker_pb2, tracker_pb2_grpc

    with make_channel(address, deadline_s=ASK_LIMIT_S, wait_for_ready=False) as channel:
        reply = tracker_pb2_grpc.TrackerStub(channel).Cluster(tracker_pb2.ClusterRequest())  # type: ignore[no-untyped-call]
    facts.leaders["tracker"] = {"id": node_id, "epoch": reply.epoch}
    facts.jobs = {"running": reply.running, "waiting": reply.waiting}
    _set_states(facts, "tracker", {address: "active"})
    states = {row.worker_id: row.state for row in reply.workers}
    facts.problems += [
        f"worker {row.worker_id} is given no task while another has room: {row.no_room}"
        for row in reply.workers
        if row.no_room and row.state != "dead"
    ]
    for service in facts.services:
        if service["role"] == "worker" and service["state"] != "dead":
            service["state"] = states.get(service["id"], "stale")


def _set_states(facts: Facts, role: str, by_address: dict[str, str]) -> None:
    """A process that is gone stays "dead" here, whatever a server that has not noticed yet may
    say."""
    for service in facts.services:
        if service["role"] == role and service["state"] != "dead":
            service["state"] = by_address.get(service["address"], "stale")
