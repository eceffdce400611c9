"""Which daemons a home has: HOME/members.json, so that a data directory that is gone is missed and
not forgotten.

Homes that were made before the file existed are known by their directories.
"""

from __future__ import annotations

import contextlib

import msgspec

from clusterkit.durable_file import write_durably
from clusterkit.errors import ClusterError
from coordinator.home import Home

Member = tuple[str, str]
"""(role, id)."""

DEFAULT_SIZE = 3
ALWAYS: tuple[Member, ...] = (("namenode", "nn1"), ("tracker", "jt1"))


def members(home: Home, size: int | None) -> list[Member]:
    """Every daemon the cluster should have: what the home has ever had, and up to `size` datanodes
    and workers. Raises ClusterError for a home of an older version."""
    known = set(remembered(home)) | {
        (role, node_id)
        for role, _, node_id in (
            p.name.partition("-") for p in home.path.glob("data/*-*") if p.is_dir()
        )
    }
    counts = [sum(role == kind for role, _ in known) for kind in ("datanode", "worker")]
    if "coordinator" in {role for role, _ in known}:
        raise ClusterError(
            f"{home.path} was made by a version whose coordinator was a daemon, and nothing reads "
            "its formats any more: begin anew in another home, and put the files there",
            next_command="export MRC_HOME=DIR; mrc up",
        )
    count = size if size is not None else (0 if all(counts) else max(counts) or DEFAULT_SIZE)
    wanted = set(ALWAYS) | known
    for i in range(1, count + 1):
        wanted |= {("datanode", f"d{i}"), ("worker", f"w{i}")}
    return sorted(wanted)


def remembered(home: Home) -> list[Member]:
    """It only repeats what the directories say: unreadable is as good as missing."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((home.path / "members.json").read_bytes(), type=list[Member])
    return []


def remember(home: Home, wanted: list[Member]) -> None:
    if sorted(remembered(home)) != wanted:
        write_durably(home.path / "members.json", msgspec.json.encode(wanted))


def gone(home: Home) -> list[Member]:
    """Those that had a directory and have none now. Raises ClusterError when it is the one that
    everything hangs on."""
    lost = [who for who in remembered(home) if not home.data(*who).exists()]
    kept = [
        home.data(*who)
        for who in remembered(home)
        if who[0] == "datanode" and home.data(*who).exists()
    ]
    for role, node_id in lost:
        if role == "namenode" and kept:
            raise ClusterError(
                f"{home.data(role, node_id)} is gone: it held the names of all files, and a new "
                "one would know none of the blocks in "
                f"{kept[0]}; put it back from a backup, or begin anew in another home",
                next_command=f"ls -la {home.path / 'data'}",
            )
    return lost
