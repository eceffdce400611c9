"""What is true of a cluster now, gathered from those who know: the object that `mrc status -o json` prints.

Asks the namenode and the tracker once each, with short deadlines: a cluster that is half down still tells about the other half.
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterkit.errors import ClusterError, Unavailable
from clusterkit.service import Announcement
from mrc.context import LOOKS_ONLY, SESSION_TIMEOUT_S
from mrc.home import Home

if TYPE_CHECKING:
    from coordinator.api import Member

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

    @property
    def ready(self) -> bool:
        """Can it store and run now?"""
        states: dict[str, set[str]] = {}
        for service in self.services:
            states.setdefault(service["role"], set()).add(service["state"])
        stores = "live" in states.get("datanode", ()) and self.filesystem.get("safe_mode") is False
        return bool(stores and self.leaders.get("tracker") and "live" in states.get("worker", ()))

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

    coordinator = connect(cluster, f"mrc-{os.getpid()}", SESSION_TIMEOUT_S, security_mode=LOOKS_ONLY)
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


def _member_row(member: Member) -> dict[str, Any]:
    told = member.capabilities
    row = {"role": member.role, "id": member.id, "pid": int(told.get("pid", 0)), "address": member.address, "state": "live"}
    return row | {"data_dirs": [d for d in told.get("data_dirs", "").split(os.pathsep) if d], "log": told.get("log", "")}


def _row(announcement: Announcement, alive: bool) -> dict[str, Any]:
    row = {"role": announcement.role, "id": announcement.id, "pid": announcement.pid, "address": announcement.address}
    return row | {"state": "live" if alive else "dead", "data_dirs": announcement.data_dirs, "log": announcement.log}


def ask_namenode(facts: Facts, node_id: str, address: str) -> None:
    from minihdfs.client.namenode import NamenodeClient
    from minihdfs.client.namenode_failover import CallOptions

    options = CallOptions(connect_timeout_s=1.0, call_timeout_s=ASK_LIMIT_S, patience_s=0.0)
    client = NamenodeClient(address, getpass.getuser(), options=options)
    try:
        status = client.get_status()
    finally:
        client.close()
    stats = status.stats
    facts.filesystem = {
        "uri": f"hdfs://{address}",
        "capacity_bytes": stats.capacity_bytes,
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
    _set_states(facts, "datanode", {f"{row.address.host}:{row.address.xfer_port}": row.state for row in status.datanodes})


def ask_tracker(facts: Facts, node_id: str, address: str) -> None:
    from clusterkit.rpc import make_channel
    from mapreduce.pb import tracker_pb2, tracker_pb2_grpc

    with make_channel(address, deadline_s=ASK_LIMIT_S, wait_for_ready=False) as channel:
        reply = tracker_pb2_grpc.TrackerStub(channel).Cluster(tracker_pb2.ClusterRequest())  # type: ignore[no-untyped-call]
    facts.leaders["tracker"] = {"id": node_id, "epoch": reply.epoch}
    facts.jobs = {"running": reply.running, "waiting": reply.waiting}
    _set_states(facts, "tracker", {address: "active"})
    states = {row.worker_id: row.state for row in reply.workers}
    for service in facts.services:
        if service["role"] == "worker" and service["state"] != "dead":
            service["state"] = states.get(service["id"], "stale")


def _set_states(facts: Facts, role: str, by_address: dict[str, str]) -> None:
    """A process that is gone stays "dead" here, whatever a server that has not noticed yet may say."""
    for service in facts.services:
        if service["role"] == role and service["state"] != "dead":
            service["state"] = by_address.get(service["address"], "stale")
