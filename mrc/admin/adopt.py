"""`mrc namenode adopt`, `mrc tracker adopt`: say that a data directory is the one from now on,
although it lacks what happened elsewhere.

Refused where it is not needed, while somebody leads, and without the words that accept the loss.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from clusterkit.errors import ClusterError, UsageError
from clusterkit.homes import ServiceHome
from clusterkit.service import DataDirectory, identity_of
from coordinator.api import Coordinator
from coordinator.home import Home
from mrc.printing import err
from mrc.settings import read_settings
from mrc.verb import VerbGroup

LOSS = {
    "namenode": (
        "file system",
        "--accept-lost-edits",
        "what was made, renamed or deleted there since is undone",
    ),
    "tracker": (
        "list of jobs",
        "--accept-lost-jobs",
        "jobs that were submitted there are forgotten",
    ),
}


@click.group(cls=VerbGroup)
def namenode() -> None:
    """Look after a namenode's data directory."""


@click.group(cls=VerbGroup)
def tracker() -> None:
    """Look after a tracker's data directory."""


@namenode.command("adopt")
@click.argument("directory", metavar="DIR")
@click.option(
    "--accept-lost-edits",
    "accepted",
    is_flag=True,
    help="What was acknowledged elsewhere since this copy was made is lost.",
)
@click.pass_obj
def namenode_adopt(obj: dict[str, str | None], directory: str, accepted: bool) -> None:
    """Serve the file system from DIR from now on: a restored backup or a copy of the namenode's
    data directory."""
    _adopt(obj, "namenode", directory, accepted)


@tracker.command("adopt")
@click.argument("directory", metavar="DIR")
@click.option(
    "--accept-lost-jobs",
    "accepted",
    is_flag=True,
    help="Jobs that were submitted elsewhere are forgotten.",
)
@click.pass_obj
def tracker_adopt(obj: dict[str, str | None], directory: str, accepted: bool) -> None:
    """Keep the list of jobs in DIR from now on: the first tracker's directory is lost, or was moved
    to another machine."""
    _adopt(obj, "tracker", directory, accepted)


def _adopt(obj: dict[str, str | None], role: str, directory: str, accepted: bool) -> None:
    what, flag, consequence = LOSS[role]
    if not directory:
        raise UsageError("DIR is empty", next_command=f"mrc {role} adopt --help")
    path = Path(directory).absolute()
    identity = identity_of(path)
    if identity is None or identity.role != role:
        raise UsageError(f"{path} is no {role}'s data directory", next_command=f"ls -la {path}")
    locked = DataDirectory.open(path, role, identity.node_id)
    coordinator = _coordinator(obj)
    try:
        home = ServiceHome(
            role,
            locked,
            coordinator.config,
            what=what,
            adopting=f"mrc {role} adopt {{directory}} {flag}",
        )
        _check(coordinator, role, locked)
        known = home.known()
        if not accepted and known is not None:
            raise UsageError(
                f"the {what} was last led from {known.where}; with {path} in its place, "
                f"{consequence}",
                next_command=f"mrc {role} adopt {directory} {flag}",
            )
        home.adopt()
    finally:
        coordinator.close()
        locked.close()
    err(f"the {what} is led from {path} from now on; next: mrc up", lines=False)


def _check(coordinator: Coordinator, role: str, directory: DataDirectory) -> None:
    leader = coordinator.election.leader(role)
    if leader is not None:
        raise ClusterError(
            f"{role} {leader.id} leads at {leader.address} (epoch {leader.epoch}): end it first",
            next_command="mrc down",
        )
    if role == "namenode":
        setting = coordinator.config.get("cluster_id")
        cluster_id = setting.value.decode(errors="replace") if setting is not None else ""
        if not directory.cluster_id or directory.cluster_id != cluster_id:
            holds = (
                f"belongs to cluster {directory.cluster_id}" if directory.cluster_id else "is empty"
            )
            raise ClusterError(
                f"{directory.path} {holds}; this is cluster {cluster_id or 'of nobody yet'}",
                next_command="mrc status",
            )


def _coordinator(obj: dict[str, str | None]) -> Coordinator:
    from coordinator.connect import connect
    from mrc.cluster.roles import coordinator_of

    home = Home.named(obj["home"])
    settings, _ = read_settings(home)
    member_id, cluster = f"mrc-{os.getpid()}", obj["cluster"] or os.environ.get("MRC_CLUSTER")
    if cluster:
        return connect(
            cluster,
            member_id,
            settings.cluster.session_timeout_s,
            security_mode=settings.security.mode,
        )
    return coordinator_of(home, member_id, settings)
