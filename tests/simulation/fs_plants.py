"""Bugs that are planted into the file system's cores under the simulator, one at a time, to grade
it: each must be found.

Those with a letter are faults that the project once had (docs/faults.md). A plant takes back the
one decision that mends the fault, from outside; the cores know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from minihdfs.datanode.core.events import FullReportChunk
from minihdfs.namenode.core.datanodes import replicas
from minihdfs.namenode.core.datanodes.datanodes import Deletion
from minihdfs.namenode.core.files import calls as files
from minihdfs.namenode.core.files import lease_recovery
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options

PLANTS = (
    "ack-before-fsync",
    "no-periodic-full-report",
    "abort-by-path",  # A3
    "bad-is-listed-as-sound",  # A4
    "bad-mark-is-lost",  # A4: a restart of the datanode forgets it
    "unreadable-is-deleted",  # A8
    "excess-is-decided-once",  # A1
    "future-is-deleted",  # A5
    "numbers-are-given-again",  # A5
    "late-firsts-run",  # A6
    "answers-age-by-the-wall",  # A7
    "few-answers",  # A7
    "complete-by-id",  # A10
    "deletion-by-id",  # A11
    "noted-bytes-are-dropped",  # A2
    "edits-without-room",  # B12
    "safe-mode-for-ever",  # B2
)
"""See also `fs_processes` and `fs_writers`, which carry out those that are not in a core."""


def infect_options(options: Options, plant: str) -> Options:
    return replace(options, retry_entries_max=2) if plant == "few-answers" else options


def infect_core(core: Namesystem, plant: str) -> None:
    act = _CORE.get(plant)
    if act is not None:
        act(core)


def _excess_is_decided_once(core: Namesystem) -> None:
    deletions: Any = core.state.deletions
    ask, orders = deletions.may_go, deletions.orders

    def blind(node: Any, now: Any) -> Any:
        deletions.may_go = lambda _node, _deletion, _now: True
        try:
            return orders(node, now)
        finally:
            deletions.may_go = ask

    def keep(address: Any, usage: Any, epoch: int, now: Any) -> Any:
        old, node = core.state.datanodes.get(address.uuid), register(address, usage, epoch, now)
        node.wishes, node.ordered = _Kept(node.wishes), _Kept(node.ordered)
        for deletion in [] if old is None else [*old.wishes.values(), *old.ordered.values()]:
            node.wish(Deletion(deletion.ref, excess=deletion.excess))
        return node

    datanodes: Any = core.state.datanodes
    register = datanodes.register
    deletions.orders, deletions.register_again, datanodes.register = (
        blind,
        lambda _old, _node: None,
        keep,
    )


class _Kept(dict[int, Deletion]):
    def clear(self) -> None:
        """A death does not end a wish."""


def _blinded(module: Any, name: str, instead: Any) -> Callable[[Namesystem], None]:
    """The core steps with another function in the place of one of a room's."""

    def infect(core: Any) -> None:
        step = core.step

        def blind(event: Any, now: Any) -> Any:
            kept = getattr(module, name)
            setattr(module, name, instead)
            try:
                return step(event, now)
            finally:
                setattr(module, name, kept)

        core.step = blind

    return infect


def _future_is_deleted(core: Namesystem) -> None:
    given: Any = core.state.given
    given.never = lambda _ref: False


def _numbers_are_given_again(core: Namesystem) -> None:
    given: Any = core.state.given
    given.to_skip = lambda: None


def _late_firsts_run(core: Namesystem) -> None:
    retries: Any = core.state.retries
    retries.find_soft = lambda _caller, _asked: None


def _answers_age_by_the_wall(core: Namesystem) -> None:
    rooms: Any = core.state
    remember = rooms.retries.remember

    def forget_all_that_is_old(edit: Any) -> None:
        remember(edit)
        for _ in range(50):
            remember(replace(edit, client_id=b""))

    rooms._log_time = lambda: rooms.now.wall_us
    rooms.retries.remember = forget_all_that_is_old


def _edits_without_room(core: Namesystem) -> None:
    kind: Any = type(core.state.safemode)
    core.state.safemode.__class__ = type(
        "Blind", (kind,), {"may_edit": property(lambda self: not self.on)}
    )


def _safe_mode_for_ever(core: Namesystem) -> None:
    safemode: Any = core.state.safemode
    safemode._is_all = lambda _now: False


_CORE: dict[str, Callable[[Namesystem], None]] = {
    "excess-is-decided-once": _excess_is_decided_once,
    "future-is-deleted": _future_is_deleted,
    "numbers-are-given-again": _numbers_are_given_again,
    "late-firsts-run": _late_firsts_run,
    "answers-age-by-the-wall": _answers_age_by_the_wall,
    "deletion-by-id": _blinded(
        replicas, "_is_ordered_away", lambda node, ref, *, now: node.is_deleting(ref.id)
    ),
    "complete-by-id": _blinded(
        files,
        "_ends_as_said",
        lambda _rooms, closed, last: last is None or last.id in closed.blocks[-1:],
    ),
    "noted-bytes-are-dropped": _blinded(
        lease_recovery, "_may_be_held", lambda _rooms, _last, _waited_us: False
    ),
    "edits-without-room": _edits_without_room,
    "safe-mode-for-ever": _safe_mode_for_ever,
}


def infect_report(report: Any, plant: str) -> Any:
    if plant == "bad-is-listed-as-sound" and isinstance(report, FullReportChunk):
        return replace(report, replicas=(*report.replicas, *report.bad), bad=())
    return report
