"""A stand-in for the namesystem behind a real loop and real sockets: it says what a test tells it
to and remembers what it was asked."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from clusterkit.clock import SystemClock
from clusterkit.driver import Driver
from clusterkit.effects import Edit, Effects, Instant, Send, Tick
from clusterkit.journal_memory import MemoryJournal
from clusterkit.records import EditCodec, Record
from minihdfs.model import ServerDefaults
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import Answer, Refusal
from minihdfs.namenode.hadoop_connection import Limits
from minihdfs.namenode.hadoop_server import RpcLoop, listen
from minihdfs.namenode.methods.table import Facts

Rule = Callable[[Any], Any]


class Made(Record, frozen=True, tag=1):
    path: str


class FakeCore:
    """`rules` maps an event class to a value, a Refusal, or a function of the event. An event in
    `held` is answered by `release`."""

    def __init__(self) -> None:
        self.rules: dict[type, Any] = {
            ev.GetFileInfo: None,
            ev.Mkdirs: True,
            ev.GetServerDefaults: ServerDefaults(),
        }
        self.asked: list[Any] = []
        self.held: set[type] = set()
        self.parked: list[Send] = []
        self._txid = 0

    def step(self, event: Any, now: Instant) -> Effects:
        if isinstance(event, Tick):
            return Effects()
        self.asked.append(event)
        if isinstance(event, Release):
            sends, self.parked = self.parked, []
            return Effects(sends=sends)
        rule = self.rules.get(type(event))
        value = rule(event) if callable(rule) else rule
        send = Send(event.caller.reply_to, value if isinstance(value, Refusal) else Answer(value))
        if type(event) in self.held:
            self.parked.append(send)
            return Effects()
        effects = Effects(sends=[send])
        if isinstance(event, ev.Mkdirs):
            self._txid += 1
            effects.journal.append(Edit(self._txid, 1, now.wall_us, Made(event.path)))
        return effects

    def next_deadline(self) -> int | None:
        return None

    def apply(self, edit: Edit) -> None: ...

    def check_invariants(self) -> None: ...


class ReplyCore(FakeCore):
    """Answers datanodes' events with `replies` by class."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: dict[type, Any] = {}

    def step(self, event: Any, now: Instant) -> Effects:
        if type(event) not in self.replies:
            return super().step(event, now)
        self.asked.append(event)
        return Effects(sends=[Send(event.reply_to, self.replies[type(event)])])


class Release:
    """Answers everything parked."""


class FakeNamenode:
    def __init__(
        self, core: FakeCore, limits: Limits | None = None, port: int = 0, start: bool = True
    ) -> None:
        listener = listen("127.0.0.1", port)
        self.core, self.journal = core, MemoryJournal()
        self.port = listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        clock = SystemClock()
        facts = Facts("test", 7)
        self.loop = RpcLoop(
            [listener], facts=facts, groups=lambda user: (f"{user}s",), clock=clock, limits=limits
        )
        driver = Driver(core, self.journal, EditCodec([Made]), self.loop.deliver, clock)
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(driver,), daemon=True)
        if start:
            self._thread.start()

    def _run(self, driver: Driver) -> None:
        try:
            self.loop.run(driver)
        except BaseException as error:
            self.failure = error

    def stop(self) -> None:
        self.loop.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def running(core: FakeCore | None = None, limits: Limits | None = None) -> Iterator[FakeNamenode]:
    namenode = FakeNamenode(core or FakeCore(), limits)
    try:
        yield namenode
    finally:
        namenode.stop()
    assert namenode.failure is None
