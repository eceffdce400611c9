"""Which segments of other tasks' outputs a task fetches next, from whom, and when it complains to
the tracker. Deterministic; no sockets, no clock.

* What it reads is a list of `Want`s, in the order in which their values are merged: by edge, task,
  partition. Several may be of one output (two cuts of it).
* Every segment is taken from exactly one attempt, whole. When the tracker names another attempt
  before the segment has arrived, what was fetched of the old one is thrown away; after it has
  arrived (its checksum verified), it stays.
* A fetch has a ticket. An answer under a ticket that was withdrawn is refused by `arrived` and
  ignored by `failed`.
* A host that cannot be reached is left alone for a while as a whole, and complaints then name every
  output still wanted from it. `missing` and `corrupt` concern one output: corrupt bytes are fetched
  once more before they are complained about.
* A complaint ends nothing: the plan goes on trying, ever more slowly, until the tracker says where
  else the output is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mapreduce.exchange import Input, OutputLocation
from mapreduce.model import ALL, FRAMES, PART, SAME, TaskId

UNREACHABLE, MISSING, CORRUPT = "unreachable", "missing", "corrupt"


class Want(NamedTuple):
    """One segment that a task reads: partition `partition` of what task `task` of `stage` made."""

    edge: int
    stage: int
    task: int
    partition: int


def wants(inputs: Sequence[Input], index: int) -> Iterator[Want]:
    """What task `index` of a stage with these edges reads, in the order of merging."""
    for edge in inputs:
        tasks = range(index, index + 1) if edge.kind == SAME else range(edge.tasks)
        if edge.kind == PART:
            partitions = range(edge.first + index, edge.first + index + 1)
        else:
            assert edge.kind in (ALL, SAME), f"edges of kind {edge.kind} are not fetched"
            partitions = range(edge.partitions)
        for task in tasks:
            for partition in partitions:
                yield Want(edge=edge.edge, stage=edge.stage, task=task, partition=partition)


@dataclass(frozen=True, slots=True)
class FetchOptions:
    per_host: int = 2
    total: int = 8
    retry_first_us: int = 100_000
    retry_last_us: int = 5_000_000
    unreachable_before_complaint: int = 2


@dataclass(frozen=True, slots=True)
class Fetch:
    ticket: int
    item: int  # position of the want
    attempt_id: str
    partition: int
    host: str
    shuffle_port: int
    codec: int = FRAMES


@dataclass(frozen=True, slots=True)
class Complaint:
    """For the tracker: the reason's first word is missing, corrupt or unreachable."""

    sources: tuple[str, ...]  # attempts
    reason: str


@dataclass(slots=True)
class _Wanted:
    location: OutputLocation | None = None
    ticket: int | None = None  # under way
    fetched: str = ""  # the attempt whose segment has arrived
    failures: int = 0
    not_before_us: int = 0


@dataclass(slots=True)
class _Host:
    under_way: int = 0
    failures: int = 0
    not_before_us: int = 0
    ready: list[int] = field(default_factory=list)  # items to fetch, next one last


class FetchPlan:
    def __init__(self, wants: Sequence[Want], turn: int, options: FetchOptions) -> None:
        """`turn` spreads tasks over hosts: whose turn it is first."""
        self.wants, self.turn, self.options = tuple(wants), turn, options
        self._wanted = [_Wanted() for _ in self.wants]
        self._items: dict[TaskId, list[int]] = {}
        for item, want in enumerate(self.wants):
            self._items.setdefault(TaskId(want.stage, want.task), []).append(item)
        self._hosts: dict[tuple[str, int], _Host] = {}
        self._tickets: dict[int, Fetch] = {}
        self._next_ticket = 1
        self._troubled: dict[int, None] = {}  # items whose last fetch failed
        self.arrived_count = 0

    # ── what the tracker says ──

    def locate(self, location: OutputLocation) -> None:
        for item in self._items.get(TaskId(location.stage, location.task), ()):
            self._locate(item, location)

    def _locate(self, item: int, location: OutputLocation) -> None:
        wanted = self._wanted[item]
        if wanted.fetched:
            return
        if location.lost:
            if wanted.location is not None and wanted.location.attempt_id == location.attempt_id:
                self._withdraw(wanted)
                wanted.location = None
            return
        if wanted.location == location:
            return
        self._withdraw(wanted)
        wanted.location, wanted.failures, wanted.not_before_us = location, 0, 0
        self._troubled.pop(item, None)
        self._host(location).ready.insert(0, item)

    # ── what the fetcher asks and says ──

    def next_fetches(self, now_us: int) -> list[Fetch]:
        """Fetches to begin now. Hosts take turns, beginning with another one in every task, so that
        tasks do not queue at one host."""
        found: list[Fetch] = []
        names = sorted(self._hosts)
        turn = self.turn % len(names) if names else 0
        for name in names[turn:] + names[:turn]:
            host = self._hosts[name]
            while (
                len(self._tickets) < self.options.total
                and host.under_way < self.options.per_host
                and host.not_before_us <= now_us
            ):
                index = self._take(host, name, now_us)
                if index is None:
                    break
                found.append(self._begin(host, name, index))
        return found

    def _take(self, host: _Host, name: tuple[str, int], now_us: int) -> int | None:
        """The next item of this host that is still wanted from it and may be tried now."""
        for position in range(len(host.ready) - 1, -1, -1):
            index = host.ready[position]
            wanted = self._wanted[index]
            stale = (
                wanted.location is None
                or (wanted.location.host, wanted.location.shuffle_port) != name
            )
            if stale or wanted.fetched or wanted.ticket is not None:
                del host.ready[position]
            elif wanted.not_before_us <= now_us:
                del host.ready[position]
                return index
        return None

    def _begin(self, host: _Host, name: tuple[str, int], index: int) -> Fetch:
        wanted = self._wanted[index]
        assert wanted.location is not None
        fetch = Fetch(
            ticket=self._next_ticket,
            item=index,
            attempt_id=wanted.location.attempt_id,
            partition=self.wants[index].partition,
            host=name[0],
            shuffle_port=name[1],
            codec=wanted.location.codec,
        )
        self._next_ticket += 1
        self._tickets[fetch.ticket] = fetch
        wanted.ticket = fetch.ticket
        host.under_way += 1
        return fetch

    def arrived(self, ticket: int) -> bool:
        """The whole segment is here and its checksum is right. False: it is not wanted any more,
        throw it away."""
        fetch = self._tickets.pop(ticket, None)
        if fetch is None:
            return False
        host = self._hosts[fetch.host, fetch.shuffle_port]
        host.under_way -= 1
        host.failures, host.not_before_us = 0, 0
        wanted = self._wanted[fetch.item]
        wanted.ticket, wanted.fetched = None, fetch.attempt_id
        self._troubled.pop(fetch.item, None)
        self.arrived_count += 1
        return True

    def failed(self, ticket: int, kind: str, reason: str, now_us: int) -> Complaint | None:
        fetch = self._tickets.pop(ticket, None)
        if fetch is None:
            return None
        name = (fetch.host, fetch.shuffle_port)
        host, wanted = self._hosts[name], self._wanted[fetch.item]
        host.under_way -= 1
        wanted.ticket = None
        wanted.failures += 1
        self._troubled[fetch.item] = None
        host.ready.insert(0, fetch.item)
        if kind == UNREACHABLE:
            return self._host_failed(host, name, reason, now_us)
        if kind == CORRUPT and wanted.failures == 1:
            return None
        wanted.not_before_us = now_us + self._pause_us(wanted.failures)
        return Complaint((fetch.attempt_id,), f"{kind}: {reason}")

    def _host_failed(
        self, host: _Host, name: tuple[str, int], reason: str, now_us: int
    ) -> Complaint | None:
        host.failures += 1
        host.not_before_us = now_us + self._pause_us(host.failures)
        if host.failures < self.options.unreachable_before_complaint:
            return None
        there = {
            w.location.attempt_id: None
            for w in self._wanted
            if not w.fetched and w.location is not None and self._name(w.location) == name
        }
        return Complaint(tuple(there), f"{UNREACHABLE}: {reason}")

    # ── how it stands ──

    def is_done(self) -> bool:
        return self.arrived_count == len(self.wants)

    def under_way(self, ticket: int) -> bool:
        """Is the fetch still wanted? A fetcher may ask in the middle of a long segment."""
        return ticket in self._tickets

    def sources(self) -> dict[int, str]:
        """Item → the attempt its segment came from, of those that have arrived."""
        return {
            index: wanted.fetched for index, wanted in enumerate(self._wanted) if wanted.fetched
        }

    def next_deadline(self, now_us: int) -> int | None:
        """When something that failed may be tried again; None when only an answer or the tracker
        can help."""
        moments = [host.not_before_us for _name, host in sorted(self._hosts.items()) if host.ready]
        moments += [self._wanted[index].not_before_us for index in sorted(self._troubled)]
        return min((moment for moment in moments if moment > now_us), default=None)

    def check_invariants(self) -> None:
        under_way = sorted(fetch.item for fetch in self._tickets.values())
        assert len(set(under_way)) == len(under_way), "a segment is fetched twice at once"
        assert sum(host.under_way for host in self._hosts.values()) == len(self._tickets)
        assert self.arrived_count == sum(bool(wanted.fetched) for wanted in self._wanted)
        for ticket, fetch in self._tickets.items():
            wanted = self._wanted[fetch.item]
            assert wanted.ticket == ticket and not wanted.fetched, "a fetch nobody wants"
            assert wanted.location is not None and wanted.location.attempt_id == fetch.attempt_id, (
                "attempts are mixed"
            )

    # ── shared ──

    def _withdraw(self, wanted: _Wanted) -> None:
        """What is under way for this map is not wanted any more."""
        if wanted.ticket is not None:
            fetch = self._tickets.pop(wanted.ticket)
            self._hosts[fetch.host, fetch.shuffle_port].under_way -= 1
            wanted.ticket = None

    def _host(self, location: OutputLocation) -> _Host:
        return self._hosts.setdefault(self._name(location), _Host())

    @staticmethod
    def _name(location: OutputLocation) -> tuple[str, int]:
        return location.host, location.shuffle_port

    def _pause_us(self, failures: int) -> int:
        return min(self.options.retry_first_us << min(failures - 1, 20), self.options.retry_last_us)
