"""`mrc up`: starts what is missing of a one-machine cluster, and returns when it can store and
run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

import click

from clusterkit.durable_file import write_durably
from clusterkit.errors import ClusterError, UsageError
from coordinator.home import Home
from mrc.cluster.in_force import not_in_force
from mrc.cluster.members import gone, members, remember
from mrc.main import in_this_cluster
from mrc.printing import err
from mrc.settings import Settings, read_settings
from mrc.verb import Verb

READY_LIMIT_S = 60.0
LOST = {
    "datanode": "; what it held is copied again from the others",
    "worker": "",
    "tracker": "; it knows no earlier jobs",
}


@click.command(cls=Verb)
@click.option(
    "-n",
    "size",
    type=click.IntRange(1, 64),
    help="Datanodes, and as many workers [default: what the home has, else 3].",
)
@click.option(
    "--set",
    "flags",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="A setting for the daemons started now.",
)
@click.pass_obj
def up(obj: dict[str, str | None], size: int | None, flags: tuple[str, ...]) -> None:
    """Start what is missing of this machine's cluster and wait until it can store and run.

    Said again, it starts what is missing and leaves the rest alone. Settings that should last
    belong in HOME/cluster.toml.
    """
    if obj["cluster"]:
        raise UsageError(
            "`mrc up` starts the cluster of a home, on this machine; --cluster names another",
            next_command="mrc daemon --help",
        )
    home = Home.named(obj["home"])
    bring_up(home, size, flags)
    tell(home)


def bring_up(home: Home, size: int | None, flags: tuple[str, ...] = ()) -> None:
    from mrc.cluster.launch import await_serving, launch
    from mrc.cluster.readiness import await_ready

    given = flags
    settings, _ = read_settings(home, flags)
    if settings.cluster.coordinator != "embedded":
        raise UsageError(
            "`mrc up` starts a one-machine cluster, whose coordinator is files of its home; this "
            "home's configuration names another",
            next_command="mrc daemon --help",
        )
    home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _only_one(home):
        wanted = members(home, size)
        if settings.datanode.port and sum(role == "datanode" for role, _ in wanted) > 1:
            raise UsageError(
                f"datanode.port = {settings.datanode.port}: only one of several datanodes on one "
                "machine can have it"
            )
        for role, node_id in gone(home):
            err(
                f"{home.data(role, node_id)} is gone: {role} {node_id} begins "
                f"anew{LOST.get(role, '')}",
                lines=False,
            )
        _remember_format(
            home, sum(role == "datanode" for role, _ in wanted), settings.namenode.replication
        )
        remember(home, wanted)
        missing = [who for who in wanted if not home.is_alive(*who)]
        _forget_the_dead(home, missing)
        if not settings.worker.slots:
            share = (os.cpu_count() or 1) // sum(role == "worker" for role, _ in wanted)
            flags = (*flags, f"worker.slots={max(1, share)}")
        await_serving(home, launch(home, missing, flags))
    await_ready(home, wanted, time.monotonic() + READY_LIMIT_S)
    tell_not_in_force(home, read_settings(home, given)[0])


def tell_not_in_force(home: Home, settings: Settings) -> None:
    late = not_in_force(home, settings)
    for line in late:
        err(line, lines=False)
    if late:
        err(f"  try: {in_this_cluster('mrc down')} && {in_this_cluster('mrc up')}", lines=False)


def tell(home: Home) -> None:
    """What runs where, on stderr: standard output carries data only."""
    from mrc.cluster.facts import gather

    living = {a.role: [b for b in home.living() if b.role == a.role] for a in home.living()}
    err(f"cluster ready in {home.path}")
    for role in ("namenode", "datanode", "tracker", "worker"):
        addresses = ", ".join(a.address for a in living.get(role, []))
        err(f"  {role:9} {addresses}")
    for problem in gather(home).problems:
        err(f"problem: {problem}", lines=False)
    err("next: mrc fs put FILE /  ·  mrc submit JOB.py IN OUT  ·  mrc status  ·  mrc down")


def _remember_format(home: Home, datanodes: int, replication: int) -> None:
    """A new home's configuration says how many replicas its files get: as many as it has datanodes,
    at most three."""
    if not home.config_file.exists() and not replication:
        head = "# Settings of this cluster; `mrc config` shows all of them with their defaults.\n"
        write_durably(
            home.config_file, f"{head}\n[namenode]\nreplication = {min(3, datanodes)}\n".encode()
        )


def _forget_the_dead(home: Home, missing: list[tuple[str, str]]) -> None:
    for announcement in home.announced():
        if (announcement.role, announcement.id) in missing:
            announcement.withdraw(home.path)


@contextlib.contextmanager
def _only_one(home: Home) -> Iterator[None]:
    """Two `mrc up` at once would start everything twice."""
    fd = os.open(home.path / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError(
                f"another `mrc up` is at work in {home.path}", next_command="mrc status"
            ) from None
        yield
    finally:
        os.close(fd)
