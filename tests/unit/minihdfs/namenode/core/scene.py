"""A namenode's core that leads, and one line per request: for tests of what it answers."""

from __future__ import annotations

import itertools
import random
from typing import Any

from clusterkit.effects import Effects, Instant, Tick
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.commands import Answer, Refusal
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.store.memory import MemoryStore


class Scene:
    def __init__(self, **options: Any) -> None:
        self.core = Namesystem(Options("c1", "root", **options), MemoryStore(), random.Random(1))
        self.now_us = 1_000_000
        self.messages: list[Any] = []
        self._calls = itertools.count(1)
        self.step(ev.LeadershipGained(1))

    def step(self, event: Any, passed_us: int = 1_000) -> Effects:
        self.now_us += passed_us
        effects = self.core.step(event, Instant(self.now_us, self.now_us))
        self.core.check_invariants()
        self.messages += [send.message for send in effects.sends]
        return effects

    def caller(self, user: str = "root", *groups: str) -> ev.Caller:
        return ev.Caller(None, user, groups or (user,), b"client", next(self._calls))

    def ask(self, event: Any) -> Any:
        """The value; the name of the refusal's error; "…" for a request that waits."""
        sends = self.step(event).sends
        if not sends:
            return "…"
        message = sends[-1].message
        return message.error.__name__ if isinstance(message, Refusal) else message.value

    def why(self, event: Any) -> str:
        message = self.step(event).sends[-1].message
        assert isinstance(message, Refusal), message
        return message.message

    def wait(self, seconds: float) -> None:
        end_us = self.now_us + int(seconds * 1e6)
        while (due := self.core.next_deadline()) is not None and due <= end_us:
            self.step(Tick(), max(1, due - self.now_us))

    def flush(self) -> None:
        batch = self.core.freeze()
        assert batch is not None
        self.core.state.overlay.store.write(batch)
        self.step(ev.StoreFlushed(batch.counters.txid))

    def mkdir(self, path: str, user: str = "root", mode: int = 0o755) -> None:
        assert self.ask(ev.Mkdirs(self.caller(user), path, mode, True)) is True

    def create(self, path: str, user: str = "root", **fields: Any) -> Any:
        return self.ask(
            ev.Create(
                self.caller(user),
                path,
                "w",
                0o644,
                fields.pop("overwrite", False),
                True,
                1,
                0,
                **fields,
            )
        )

    def delete(self, path: str, user: str = "root", *, recursive: bool = True) -> Any:
        return self.ask(ev.Delete(self.caller(user), path, recursive))

    def names(self, path: str) -> list[str]:
        message = self.step(ev.GetListing(self.caller(), path)).sends[-1].message
        assert isinstance(message, Answer)
        return [entry.name.decode() for entry in message.value.entries]
