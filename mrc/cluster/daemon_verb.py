"""`mrc daemon`: one role in the foreground, for systemd, containers and machines of a larger
cluster."""

from __future__ import annotations

import re
import socket

import click

from clusterkit.errors import UsageError
from coordinator.home import Home
from mrc.verb import Verb

ROLES = ("namenode", "datanode", "tracker", "worker")


@click.command(cls=Verb)
@click.argument("role", type=click.Choice(ROLES))
@click.option(
    "--id",
    "node_id",
    help="The node's name, kept in its data directory [default: this host's name].",
)
@click.option(
    "--set", "flags", multiple=True, metavar="SECTION.KEY=VALUE", help="A setting for this daemon."
)
@click.pass_obj
def daemon(
    obj: dict[str, str | None], role: str, node_id: str | None, flags: tuple[str, ...]
) -> int:
    """Run one daemon in the foreground until SIGTERM. Its data lies in HOME/data/ROLE-ID."""
    from mrc.cluster.daemon import serve

    if node_id is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", node_id):
        raise UsageError(
            f"--id {node_id!r} is no name of a node: letters, digits, . _ -",
            next_command="mrc daemon --help",
        )
    home = Home.named(obj["home"])
    home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return serve(home, role, node_id or socket.gethostname(), flags)
