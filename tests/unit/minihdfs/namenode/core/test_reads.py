"""Reading: what a look at much leaves behind in memory."""

from __future__ import annotations

import random

from clusterkit.effects import Instant, Tick
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import Answer
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.store.memory import MemoryStore


def test_a_namenode_that_is_only_read_does_not_grow() -> None:
    core, now = (
        Namesystem(Options("c1", "root", cached_records_max=20), MemoryStore(), random.Random(1)),
        Instant(1, 1),
    )
    core.step(ev.LeadershipGained(1), now)
    caller = ev.Caller(None, "root")
    for number in range(300):
        core.step(ev.Create(caller, f"/d/f{number:03}", "w", 0o644, False, True, 1, 0), now)
    batch = core.freeze()
    assert batch is not None
    core.state.overlay.store.write(batch)
    core.flushed(batch.counters.txid)
    overlay = core.state.overlay
    for _ in range(3):
        for number in range(300):
            assert core.step(ev.GetFileInfo(caller, f"/d/f{number:03}"), now).sends[
                0
            ].message != Answer(None)
            assert core.step(ev.GetFileInfo(caller, f"/d/none{number:03}"), now).sends[
                0
            ].message == Answer(None)
    assert overlay.inode.cached() <= 22 and overlay.dentry.cached() <= 22
    met = dict(overlay.inode.young)
    listing = core.step(ev.GetListing(caller, "/d"), now).sends[0].message
    effects = core.step(ev.GetContentSummary(caller, "/"), now)
    while not effects.sends:
        effects = core.step(Tick(), now)
    assert isinstance(listing, Answer) and len(listing.value.entries) == 300
    assert effects.sends[0].message.value.files == 300
    assert len(overlay.inode.young.keys() - met.keys()) <= 2, (
        "what a listing and a summary passed by is not kept"
    )
