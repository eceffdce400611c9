"""`mrc ha`: what an operator does about who leads, by hand."""

from __future__ import annotations

import click

from mrc.context import Context
from mrc.printing import err
from mrc.verb import VerbGroup


@click.group(cls=VerbGroup)
def ha() -> None:
    """Mend by hand what elections left behind."""


@ha.command("reset-tracker-epoch")
@click.pass_obj
def reset_tracker_epoch(obj: dict[str, str | None]) -> None:
    """Let trackers publish again that are refused because of an epoch that nobody has.

    The file system remembers the highest epoch that a tracker published with, and refuses lower
    ones. This sets it to what the coordinator has handed out; refused where it is not above that.
    Needs the superuser."""
    from minihdfs.client.namenode_calls import NamenodeClient

    context = Context.of(obj)
    client = NamenodeClient(context.namenode_address().split(","), context.user)
    try:
        was, now = client.reset_tracker_epoch()
    finally:
        client.close()
    err(f"the tracker's epoch was {was}, which nobody ever had, and is {now} now; next: mrc jobs")
