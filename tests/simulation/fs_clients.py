"""The simulator's clients: each works in a directory of its own and knows exactly what must be in it.

A client repeats a call, with the same call id, until it is answered; so every call takes effect once, and the model that is advanced
with each answer must equal the tree at the end. Clients never lose their memory. In /shared they race for names: at most one may win
each.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from minihdfs.errors import AlreadyBeingCreated, FileAlreadyExists, NoDatanodes, NotReplicatedYet, SafeMode, Standby
from minihdfs.model import BlockRef
from minihdfs.namenode.core import events
from minihdfs.namenode.core.commands import Answer, Refusal
from tests.simulation.fs_processes import NAMENODE
from tests.simulation.kernel import MS, Kernel, Process, Violation

RESEND_US = 700 * MS
Steps = Generator[Any, Any, Any]
Blocks = tuple[str, ...]


class Client(Process):
    mortal = False

    def __init__(self, kernel: Kernel, name: str, winners: dict[str, list[str]], least_replication: int) -> None:
        """`least_replication`: what setReplication asks for at least. With bits rotting it is 2: trimming to one replica may keep one whose
        bad bytes nobody has met yet, and no system could do better."""
        super().__init__(kernel, name)
        self._rng = kernel.stream(f"{name}/work")
        self._winners = winners
        self._least_replication = least_replication
        self.home = f"/{name}"
        self.tree: dict[str, Blocks | None] = {self.home: None}
        """What must be there: path → contents of its blocks, or None for a directory."""
        self.finishing = False
        self.doing = "starting"
        self.operations = 0
        self._calls = 0
        self._steps: Steps
        self._waiting: dict[Any, Any] = {}

    def boot(self) -> None:
        self._steps = self._live()
        self._go_on(None)

    @property
    def idle(self) -> bool:
        return self.doing == ""

    # ── the machine under the operations ────────────────────────────────────────────────────────────────────────────────────────────

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

    def _ask(self, call: int, make: Any) -> None:
        """Sends, and again until the answer came."""
        self._waiting[call] = make
        token = (self.name, self.incarnation, call)
        caller = events.Caller(token, "root", (), self.name.encode(), call, host=f"host-{self.name}")
        self.send(NAMENODE, make(caller))
        self.later(RESEND_US, lambda: self._ask(call, make) if call in self._waiting else None)

    def _scatter(self, messages: dict[str, Any], patience_us: int) -> None:
        """Sends one message to each datanode; goes on with the answers when all have come or patience ends."""
        self._calls += 1
        call = self._calls
        answers: dict[str, str] = {}
        self._waiting[call] = (messages, answers)
        for name, (kind, *rest) in messages.items():
            self.send(name, (kind, (self.name, self.incarnation, call), *rest))
        self.later(patience_us, lambda: self._gathered(call))

    def _gathered(self, call: int) -> None:
        if call in self._waiting:
            _messages, answers = self._waiting.pop(call)
            self._go_on(answers)

    def receive(self, source: str, message: Any) -> None:
        (_name, _incarnation, call), reply = message
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

    # ── the operations ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _live(self) -> Steps:
        yield from self._sure("mkdir", lambda caller: events.Mkdirs(caller, self.home, 0o755, True), True)
        while not self.finishing:
            operation = self._rng.choice((self._write, self._write, self._write, self._rename, self._delete, self._mkdir, self._read,
                                          self._read, self._set_replication, self._race))  # fmt: skip
            yield from operation()
            self.operations += 1
            yield "sleep", self._rng.randrange(10 * MS, 400 * MS)

    def _call(self, doing: str, make: Any) -> Steps:
        self.doing = doing
        reply = yield "ask", make
        return reply

    def _sure(self, doing: str, make: Any, expected: Any) -> Steps:
        """A call whose answer the model knows."""
        reply = yield from self._call(doing, make)
        if not isinstance(reply, Answer) or (expected is not ... and reply.value != expected):
            raise Violation(f"{self.name}: {doing} was answered {reply}, must be {expected}")
        return reply.value

    def _paths(self, *, directories: bool) -> list[str]:
        return sorted(path for path, blocks in self.tree.items() if (blocks is None) == directories)

    def _new_path(self) -> str:
        return f"{self._rng.choice(self._paths(directories=True))}/{self._rng.choice('abcdef')}{self._rng.randrange(6)}"

    def _mkdir(self) -> Steps:
        path = self._new_path()
        if path not in self.tree:
            yield from self._sure(f"mkdir {path}", lambda caller: events.Mkdirs(caller, path, 0o755, False), True)
            self.tree[path] = None

    def _write(self) -> Steps:
        path = self._new_path()
        if path in self.tree and self.tree[path] is None:
            return
        replication = self._rng.choice((0, 0, 1, 2))
        created = yield from self._sure(
            f"create {path}", lambda caller: events.Create(caller, path, self.name, 0o644, True, False, replication, 0), ...
        )  # fmt: skip
        self.tree[path] = ()
        contents: list[str] = []
        previous: BlockRef | None = None
        for number in range(self._rng.choice((0, 1, 1, 1, 2, 3))):
            content = f"{path}#{self.operations}.{number}." + "x" * self._rng.randrange(20)
            previous = yield from self._write_block(path, created.inode_id, previous, content)
            contents.append(content)
        yield from self._complete(path, created.inode_id, previous)
        self.tree[path] = tuple(contents)

    def _write_block(self, path: str, inode_id: int, previous: BlockRef | None, content: str) -> Steps:
        exclude: tuple[str, ...] = ()
        while True:
            before, without = previous, exclude
            reply = yield from self._call(
                f"addBlock {path}", lambda caller: events.AddBlock(caller, path, self.name, inode_id, before, without)  # noqa: B023
            )  # fmt: skip
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
            if answers:
                return written
            yield from self._sure(
                f"abandonBlock {path}", lambda caller: events.AbandonBlock(caller, path, self.name, inode_id, block), None  # noqa: B023
            )  # fmt: skip
            exclude = tuple(names)

    def _complete(self, path: str, inode_id: int, last: BlockRef | None) -> Steps:
        while True:
            reply = yield from self._call(f"complete {path}", lambda caller: events.Complete(caller, path, self.name, inode_id, last))
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
        source = self._rng.choice(candidates)
        if target in self.tree or target.startswith(f"{source}/"):
            return
        yield from self._sure(f"rename {source} {target}", lambda caller: events.Rename(caller, source, target), True)
        moved = {path: blocks for path, blocks in self.tree.items() if path == source or path.startswith(f"{source}/")}
        for path in moved:
            del self.tree[path]
        self.tree.update({target + path[len(source) :]: blocks for path, blocks in moved.items()})

    def _delete(self) -> Steps:
        candidates = [path for path in sorted(self.tree) if path != self.home]
        if not candidates:
            return
        victim = self._rng.choice(candidates)
        yield from self._sure(f"delete {victim}", lambda caller: events.Delete(caller, victim, True), True)
        self.tree = {path: blocks for path, blocks in self.tree.items() if path != victim and not path.startswith(f"{victim}/")}

    def _set_replication(self) -> Steps:
        files = self._paths(directories=False)
        if files:
            path, count = self._rng.choice(files), self._rng.randrange(self._least_replication, 4)
            yield from self._sure(f"setReplication {path}", lambda caller: events.SetReplication(caller, path, count), True)

    def _read(self) -> Steps:
        """What comes back is what was written; a replica with wrong bytes is said to be bad and reported."""
        files = self._paths(directories=False)
        if not files:
            return
        path = self._rng.choice(files)
        located = yield from self._sure(f"read {path}", lambda caller: events.GetBlockLocations(caller, path, 0, 1 << 40), ...)
        contents = self.tree[path] or ()
        if [one.block.length for one in located.blocks] != [len(content) for content in contents]:
            raise Violation(f"{self.name}: {path} has blocks {located.blocks}, must be {contents}")
        for one, content in zip(located.blocks, contents, strict=True):
            for address in one.locations[:1]:
                answers = yield "scatter", {address.uuid: ("read", one.block.id)}, 500 * MS
                said = answers.get(address.uuid, "")
                if said == "bad":
                    replica = (one.block, address.uuid)
                    yield from self._sure("report", lambda caller: events.ReportBadBlocks(caller, (replica,)), None)  # noqa: B023
                elif said.startswith("=") and said[1:] != content:
                    raise Violation(f"{self.name}: read of {path} gave {said[1:]!r}, must be {content!r}")

    def _race(self) -> Steps:
        path = f"/shared/{self._rng.randrange(12)}"
        reply = yield from self._call(f"create {path}", lambda caller: events.Create(caller, path, self.name, 0o644, False, True, 0, 0))
        if isinstance(reply, Answer):
            yield from self._complete(path, reply.value.inode_id, None)
            self._winners.setdefault(path, []).append(self.name)
        elif reply.error not in (FileAlreadyExists, AlreadyBeingCreated):
            raise Violation(f"{self.name}: create {path}: {reply}")
