"""`mrc down`: ends every daemon of a one-machine cluster, in the order that lets each finish what
it owes the next."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

import click

from coordinator.home import Home
from mrc.printing import err
from mrc.verb import Verb

WAVES = (("worker", "tracker", "console"), ("datanode",), ("namenode",))
GRACE_S = 10.0


@click.command(cls=Verb)
@click.pass_obj
def down(obj: dict[str, str | None]) -> None:
    """End every process of this machine's cluster; nothing is lost, and `mrc up` finds everything
    again."""
    home = Home.named(obj["home"])
    ended = bring_down(home)
    err(
        f"ended {ended} processes of {home.path}"
        if ended
        else f"no cluster is running in {home.path}"
    )


def bring_down(home: Home) -> int:
    """Returns how many daemons it ended. One that ignores SIGTERM for ten seconds is killed: its
    data is journaled all the same."""
    ended = 0
    for roles in WAVES:
        ended += _end(home, roles)
    for announcement in home.announced():
        announcement.withdraw(home.path)
    return ended


def _end(home: Home, roles: tuple[str, ...]) -> int:
    """A daemon that has not said that it serves is ended too. What the lock says before and after
    the handle was opened is who it is of."""
    handles = {}
    for member in home.holders():
        if member[0] in roles:
            with contextlib.suppress(ProcessLookupError):
                handles[os.pidfd_open(member[1])] = member
    still = home.holders()
    for handle in [handle for handle, member in handles.items() if member not in still]:
        del handles[handle]
        os.close(handle)
    ended = len(handles)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
        deadline = time.monotonic() + GRACE_S
        while handles and time.monotonic() < deadline:
            gone, _, _ = select.select(list(handles), [], [], max(0.0, deadline - time.monotonic()))
            for handle in gone:
                handles.pop(handle)
                os.close(handle)
    return ended
