"""The simulator's clients: each works in a directory of its own and knows exactly what must be in
it.

A client repeats a call, with the same call id, until it is answered; so every call takes effect
once, and the model that is advanced with each answer must equal the tree at the end. Each
repetition travels on a connection of its own, and the first transmission may arrive after the
answer to a repetition: it must not run against what came since, also where the answer was that
nothing changed. Clients never lose their memory. In /shared they race for names: at most one may
win each; how they write there against one another is fs_writers'.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from minihdfs.errors import (
    AlreadyBeingCreated,
    FileAlreadyExists,
    NoDatanodes,
    NotReplicatedYet,
    SafeMode,
    Standby,
)
from minihdfs.model import BlockRef
from minihdfs.namenode.core import events
from minihdfs.namenode.core.commands import Answer, Refusal
from tests.simulation import fs_writers
from tests.simulation.fs_processes import NAMENODE
from tests.simulation.fs_writers import Shared
from tests.simulation.kernel import MS, SECOND, Kernel, Process, Violation

RESEND_US = 700 * MS
Steps = Generator[Any, Any, Any]
Blocks = tuple[str, ...]


class Client(Process):
    mortal = False

    def __init__(self, kernel: Kernel, name: str, shared: Shared, least_replication: int) -> None:
        """`least_replication`: what setReplication asks for at least (see `fs_disks`)."""
        super().__init__(kernel, name)
        self.rng = kernel.stream(f"{name}/work")
        self._shared = shared
        self._least_replication = least_replication
        self._lateness = self.rng.choice((0.0, 0.05, 0.3))
        self.home = f"/{name}"
        self.tree: dict[str, Blocks | None] = {self.home: None}
        """What must be there: path → contents of its blocks, or None for a directory."""
        self.finishing = False
        self.doing = "starting"
        self.operations = 0
        self._calls = self._connection = 0
        self._steps: Steps
        self._waiting: dict[Any, Any] = {}

    def boot(self) -> None:
        self._steps = self._live()
        self._go_on(None)

    @property
    def idle(self) -> bool:
        return self.doing == ""

    # ── the machine under the operations ──────────────────────────────────────────────────────────

    def _go_on(self, value: Any) -> None:
        try:
            kind, *what = self._steps.send(value)
        except StopIteration:
            self.doing = ""
            return
        if kind == "sleep":
            self.later(what[0], lambda: self._go_on(None))
        elif kind == "ask":
            self._calls += 1
            self._ask(self._calls, what[0])
        else:
            self._scatter(what[0], what[1])

    def _ask(self, call: int, make: Any, retry: bool = False) -> None:
        """Sends, and again until the answer came. The first transmission may be long under way."""
        self._waiting[call] = make
        if retry:
            self._connection += 1
        token = (self.name, self.incarnation, call, self._connection)
        caller = events.Caller(
            token, "root", (), self.name.encode(), call, retry=retry, host=f"host-{self.name}"
        )
        late = not retry and self.rng.random() < self._lateness
        self.send(
            NAMENODE, make(caller), self.rng.randrange(RESEND_US // 2, 4 * RESEND_US) if late else 0
        )
        self.later(
            RESEND_US, lambda: self._ask(call, make, True) if call in self._waiting else None
        )

    def _scatter(self, messages: dict[str, Any], patience_us: int) -> None:
        """Sends one message to each datanode; goes on with the answers when all have come or
        patience ends."""
        self._calls += 1
        call = self._calls
        answers: dict[str, str] = {}
        self._waiting[call] = (messages, answers)
        for name, (kind, *rest) in messages.items():
            late = kind == "write" and self.rng.random() < self._lateness
            self.send(
                name,
                (kind, (self.name, self.incarnation, call), *rest),
                self.rng.randrange(SECOND // 2, 4 * SECOND) if late else 0,
            )
        self.later(patience_us, lambda: self._gathered(call))

    def _gathered(self, call: int) -> None:
        if call in self._waiting:
            _messages, answers = self._waiting.pop(call)
            self._go_on(answers)

    def receive(self, source: str, message: Any) -> None:
        (_name, _incarnation, call, *_connection), reply = message
        waiting = self._waiting.get(call)
        if waiting is None:
            return
        if isinstance(waiting, tuple):
            messages, answers = waiting
            answers[source] = reply
            if len(answers) == len(messages):
                self._gathered(call)
        elif isinstance(reply, Refusal) and issubclass(reply.error, SafeMode | Standby):
            pass  # asked again, under the same call id, when the resend is due
        else:
            del self._waiting[call]
            self._go_on(reply)

    # ── the operations ────────────────────────────────────────────────────────────────────────────

    def _live(self) -> Steps:
        yield from self.sure(
            "mkdir", lambda caller: events.Mkdirs(caller, self.home, 0o755, True), True
        )
        operations = (
            *(self._write,) * 4,
            *(self._read, self._set_replication, self._log, self._take_over) * 2,
            self._rename,
            self._delete,
            self._mkdir,
            self._race,
            self._change_nothing,
        )
        while not self.finishing:
            operation = self.rng.choice(operations)
            yield from operation()
            self.operations += 1
            yield "sleep", self.rng.randrange(10 * MS, 400 * MS)

    def call(self, doing: str, make: Any) -> Steps:
        self.doing = doing
        reply = yield "ask", make
        return reply

    def sure(self, doing: str, make: Any, expected: Any) -> Steps:
        """A call whose answer the model knows."""
        reply = yield from self.call(doing, make)
        if not isinstance(reply, Answer) or (expected is not ... and reply.value != expected):
            raise Violation(f"{self.name}: {doing} was answered {reply}, must be {expected}")
        return reply.value

    def _paths(self, *, directories: bool) -> list[str]:
        return sorted(path for path, blocks in self.tree.items() if (blocks is None) == directories)

    def _new_path(self) -> str:
        parent = self.rng.choice(self._paths(directories=True))
        return f"{parent}/{self.rng.choice('abcdef')}{self.rng.randrange(6)}"

    def _mkdir(self) -> Steps:
        path = self._new_path()
        if path not in self.tree:
            yield from self.sure(
                f"mkdir {path}", lambda caller: events.Mkdirs(caller, path, 0o755, False), True
            )
            self.tree[path] = None

    def _write(self) -> Steps:
        path = self._new_path()
        if path in self.tree and self.tree[path] is None:
            return
        replication = self.rng.choice((0, 0, 1, 2))
        created = yield from self.sure(
            f"create {path}",
            lambda caller: events.Create(
                caller, path, self.name, 0o644, True, False, replication, 0
            ),
            ...,
        )
        self.tree[path] = ()
        contents: list[str] = []
        previous: BlockRef | None = None
        for number in range(self.rng.choice((0, 1, 1, 1, 2, 3))):
            content = f"{path}#{self.operations}.{number}." + "x" * self.rng.randrange(20)
            previous = yield from self.write_block(path, created.inode_id, previous, content)
            contents.append(content)
        yield from self._complete(path, created.inode_id, previous)
        self.tree[path] = tuple(contents)

    def write_block(
        self, path: str, inode_id: int, previous: BlockRef | None, content: str
    ) -> Steps:
        exclude: tuple[str, ...] = ()
        while True:
            before, without = previous, exclude
            reply = yield from self.call(
                f"addBlock {path}",
                lambda caller: events.AddBlock(caller, path, self.name, inode_id, before, without),  # noqa: B023
            )
            if isinstance(reply, Refusal):
                if reply.error not in (NoDatanodes, NotReplicatedYet):
                    raise Violation(f"{self.name}: addBlock {path}: {reply}")
                exclude = ()
                yield "sleep", 300 * MS
                continue
            block = reply.value.block
            written = BlockRef(block.id, block.stamp, len(content))
            names = [address.uuid for address in reply.value.locations]
            answers = yield "scatter", dict.fromkeys(names, ("write", written, content)), 800 * MS
            if answers and len(answers) < len(names) and self.rng.random() < 0.8:
                written = yield from self.go_on_without(
                    written, content, tuple(sorted(answers)), tuple(names)
                )
                return written
            if answers:
                return written
            yield from self.sure(
                f"abandonBlock {path}",
                lambda caller: events.AbandonBlock(caller, path, self.name, inode_id, block),  # noqa: B023
                None,
            )
            exclude = tuple(names)

    def go_on_without(
        self, written: BlockRef, content: str, answered: tuple[str, ...], names: tuple[str, ...]
    ) -> Steps:
        """The pipeline without those that did not answer: the block gets a new stamp, which only
        the replicas that go on have. One that was only slow may get it as well, long after the
        bytes with the old stamp, and after the file was closed."""
        located = yield from self.sure(
            f"updateBlockForPipeline {written.id}",
            lambda caller: events.UpdateBlockForPipeline(caller, self.name, written),
            ...,
        )
        again = BlockRef(written.id, located.block.stamp, written.length)
        for slow in names if self.rng.random() < 0.5 else ():
            if slow not in answered:
                self.send(slow, ("write", None, again, content), self.rng.randrange(5 * SECOND))
        kept: dict[str, str] = {}
        while not kept:  # they have the bytes: it is only a matter of asking
            kept = yield "scatter", dict.fromkeys(answered, ("write", again, content)), 800 * MS
        uuids = tuple(sorted(kept))
        yield from self.sure(
            f"updatePipeline {written.id}",
            lambda caller: events.UpdatePipeline(caller, self.name, written, again, uuids),
            None,
        )
        return again

    def _complete(self, path: str, inode_id: int, last: BlockRef | None) -> Steps:
        while True:
            reply = yield from self.call(
                f"complete {path}",
                lambda caller: events.Complete(caller, path, self.name, inode_id, last),
            )
            if isinstance(reply, Refusal):
                raise Violation(f"{self.name}: complete {path}: {reply}")
            if reply.value:
                return
            yield "sleep", 200 * MS

    def _rename(self) -> Steps:
        candidates = [path for path in sorted(self.tree) if path != self.home]
        target = self._new_path()
        if not candidates:
            return
        source = self.rng.choice(candidates)
        if target in self.tree or target.startswith(f"{source}/"):
            return
        yield from self.sure(
            f"rename {source} {target}", lambda caller: events.Rename(caller, source, target), True
        )
        moved = {
            path: blocks
            for path, blocks in self.tree.items()
            if path == source or path.startswith(f"{source}/")
        }
        for path in moved:
            del self.tree[path]
        self.tree.update({target + path[len(source) :]: blocks for path, blocks in moved.items()})

    def _delete(self, victim: str = "") -> Steps:
        candidates = [path for path in sorted(self.tree) if path != self.home]
        if not candidates:
            return
        victim = victim or self.rng.choice(candidates)
        yield from self.sure(
            f"delete {victim}", lambda caller: events.Delete(caller, victim, True), True
        )
        self.tree = {
            path: blocks
            for path, blocks in self.tree.items()
            if path != victim and not path.startswith(f"{victim}/")
        }

    def _change_nothing(self) -> Steps:
        """A call whose answer is that nothing changed; then what a late transmission of it would
        spoil."""
        path, files, directories = (
            self._new_path(),
            self._paths(directories=False),
            self._paths(directories=True),
        )
        kind = self.rng.randrange(4)
        if kind == 0 and path not in self.tree:
            yield from self.sure(
                f"delete {path}", lambda caller: events.Delete(caller, path, True), False
            )
            yield from self.sure(
                f"mkdir {path}", lambda caller: events.Mkdirs(caller, path, 0o755, False), True
            )
            self.tree[path] = None
        elif kind == 1 and path not in self.tree:
            target = f"{self.home}/moved{self.operations}"
            yield from self.sure(
                f"rename {path}", lambda caller: events.Rename(caller, path, target), False
            )
            yield from self.sure(
                f"mkdir {path}", lambda caller: events.Mkdirs(caller, path, 0o755, False), True
            )
            self.tree[path] = None
        elif kind == 2 and len(directories) > 1:
            there = self.rng.choice(directories[1:])
            yield from self.sure(
                f"mkdir {there}", lambda caller: events.Mkdirs(caller, there, 0o755, False), True
            )
            yield from self._delete(there)
        elif kind == 3 and files:
            there = self.rng.choice(files)
            reply = yield from self.call(
                f"create {there}",
                lambda caller: events.Create(caller, there, self.name, 0o644, False, False, 0, 0),
            )
            if not isinstance(reply, Refusal) or reply.error is not FileAlreadyExists:
                raise Violation(f"{self.name}: create {there}, which exists, was answered {reply}")
            yield from self._delete(there)

    def _log(self) -> Steps:
        yield from fs_writers.write_log(self, self._shared)

    def _take_over(self) -> Steps:
        yield from fs_writers.take_over(self, self._shared)

    def _set_replication(self) -> Steps:
        files = self._paths(directories=False)
        if files:
            path, count = self.rng.choice(files), self.rng.randrange(self._least_replication, 4)
            yield from self.sure(
                f"setReplication {path}",
                lambda caller: events.SetReplication(caller, path, count),
                True,
            )

    def _read(self) -> Steps:
        """What comes back is what was written; a replica with wrong bytes is said to be bad and
        reported."""
        files = self._paths(directories=False)
        if not files:
            return
        path = self.rng.choice(files)
        located = yield from self.sure(
            f"read {path}", lambda caller: events.GetBlockLocations(caller, path, 0, 1 << 40), ...
        )
        contents = self.tree[path] or ()
        if [one.block.length for one in located.blocks] != [len(content) for content in contents]:
            raise Violation(f"{self.name}: {path} has blocks {located.blocks}, must be {contents}")
        for one, content in zip(located.blocks, contents, strict=True):
            for address in one.locations[:1]:
                answers = yield "scatter", {address.uuid: ("read", one.block.id)}, 500 * MS
                said = answers.get(address.uuid, "")
                if said == "bad":
                    replica = (one.block, address.uuid)
                    yield from self.sure(
                        "report",
                        lambda caller: events.ReportBadBlocks(caller, (replica,)),  # noqa: B023
                        None,
                    )
                elif said.startswith("=") and said[1:] != content:
                    raise Violation(
                        f"{self.name}: read of {path} gave {said[1:]!r}, must be {content!r}"
                    )

    def _race(self) -> Steps:
        path = f"/shared/{self.rng.randrange(12)}"
        reply = yield from self.call(
            f"create {path}",
            lambda caller: events.Create(caller, path, self.name, 0o644, False, True, 0, 0),
        )
        if isinstance(reply, Answer):
            yield from self._complete(path, reply.value.inode_id, None)
            self._shared.winners.setdefault(path, []).append(self.name)
        elif reply.error not in (FileAlreadyExists, AlreadyBeingCreated):
            raise Violation(f"{self.name}: create {path}: {reply}")
