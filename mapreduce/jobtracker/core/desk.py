"""The desk all rooms of the core work at: the ledger, the soft state, the step's time, and the two
ways out (an edit, a send)."""

from __future__ import annotations

import random
from typing import Any

from clusterkit.effects import Edit, Effects, Instant, Send
from mapreduce.jobtracker.core.ledger import Ledger
from mapreduce.jobtracker.core.model import Options
from mapreduce.jobtracker.core.work import JobWork, Watcher, Worker


class Desk:
    def __init__(self, options: Options, rng: random.Random) -> None:
        self.options, self.rng = options, rng
        self.ledger = Ledger(options.keep_finished)
        self.works: dict[str, JobWork] = {}  # of unfinished jobs, oldest first
        self.workers: dict[str, Worker] = {}
        self.watchers: dict[Any, Watcher] = {}
        self.cleanups: dict[
            str, int
        ] = {}  # finished jobs whose staging is to be removed, at the latest then
        # those of them whose removal waits until then: somebody may still be writing, and nobody
        # says so
        self.strays: dict[str, None] = {}
        self.epoch = 0
        self.ceiling = 0  # the highest epoch that the coordinator has handed out, as far as we know
        self.now = Instant(0, 0)
        self.effects = Effects()
        self.changed: dict[str, None] = {}  # jobs whose status is not what it was

    def begin(self, now: Instant) -> None:
        self.now, self.effects = now, Effects()

    def record(self, op: Any) -> None:
        """Applies one durable change; nothing said in this step leaves before it is on disk."""
        edit = Edit(self.ledger.txid + 1, self.epoch, self.now.wall_us, op)
        self.ledger.apply(edit)
        self.effects.journal.append(edit)

    def send(self, to: Any, message: Any) -> None:
        self.effects.sends.append(Send(to, message))

    def order(self, worker_id: str, message: Any) -> None:
        """An order for a worker that does not attend is dropped: when it attends again its
        inventory tells what it missed."""
        worker = self.workers.get(worker_id)
        if worker is not None and worker.stream is not None:
            self.send(worker.stream, message)

    def in_us(self, after_us: int) -> int:
        return self.now.mono_us + after_us
