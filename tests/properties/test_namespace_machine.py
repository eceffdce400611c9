"""The namespace against a dict: any sequence of changes gives the same tree, the same answers and
the same kinds of error, across restarts.

The oracle is a dict of path → node and knows nothing of inodes, edits or stores; a restart replays
the journal, from the start or from a flushed store, in a core of its own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clusterkit.effects import Edit, Event, Instant, Tick
from minihdfs import paths
from minihdfs.errors import (
    AlreadyBeingCreated,
    DirectoryNotEmpty,
    FileAlreadyExists,
    FileNotFound,
    FsError,
    InvalidArgument,
    IsADirectory,
    LeaseExpired,
    NotADirectory,
    ParentNotDirectory,
    PathIsNotAFile,
)
from minihdfs.namenode.core import events
from minihdfs.namenode.core.commands import Answer, Refusal
from minihdfs.namenode.core.namesystem import Namesystem
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.edit_codec import CODEC
from minihdfs.namenode.store.memory import MemoryStore

OPTIONS = Options(
    "c1", "root", listing_page=2, reclaim_records=2, step_records=3, cached_records_max=4
)
NAMES = st.sampled_from(["a", "é"])
PATHS = st.lists(NAMES, max_size=3).map(lambda names: "/" + "/".join(names))
CLIENTS = st.sampled_from(["w1", "w2"])


@dataclass
class Node:
    is_directory: bool
    mode: int = 0
    writer: str = ""


class Refused(Exception):
    def __init__(self, error: type[FsError]) -> None:
        self.error = error


class Oracle:
    """What HDFS's rules say, on a dict."""

    def __init__(self) -> None:
        self.tree: dict[str, Node] = {"/": Node(True, 0o755)}

    def ancestors(self, path: str) -> list[str]:
        names = paths.components(path)
        return [paths.join(*names[:depth]) for depth in range(len(names))]

    def check_parents(self, path: str, *, must_exist: bool) -> None:
        for above in self.ancestors(path):
            if above not in self.tree:
                if must_exist:
                    raise Refused(FileNotFound)
                return
            if not self.tree[above].is_directory:
                raise Refused(ParentNotDirectory)

    def make_parents(self, path: str, mode: int) -> None:
        for above in self.ancestors(path):
            self.tree.setdefault(above, Node(True, mode | 0o300))

    def children(self, path: str) -> list[str]:
        prefix = path.rstrip("/") + "/"
        below = [
            name[len(prefix) :] for name in self.tree if name != "/" and name.startswith(prefix)
        ]
        return sorted(name for name in below if "/" not in name)

    def remove(self, path: str) -> None:
        for name in [name for name in self.tree if paths.is_under(name, path)]:
            del self.tree[name]

    def mkdirs(self, path: str, create_parents: bool) -> bool:
        if path == "/":
            return True
        self.check_parents(path, must_exist=not create_parents)
        if path in self.tree:
            if not self.tree[path].is_directory:
                raise Refused(FileAlreadyExists)
            return True
        self.make_parents(path, 0o750)
        self.tree[path] = Node(True, 0o750)
        return True

    def create(self, path: str, client: str, overwrite: bool, create_parents: bool) -> None:
        if path == "/":
            raise Refused(IsADirectory)
        self.check_parents(path, must_exist=not create_parents)
        node = self.tree.get(path)
        if node is not None:
            if node.is_directory:
                raise Refused(FileAlreadyExists)
            if not overwrite:
                raise Refused(AlreadyBeingCreated if node.writer else FileAlreadyExists)
        self.make_parents(path, 0o755)
        self.tree[path] = Node(False, 0o644, client)

    def complete(self, path: str, client: str) -> bool:
        node = self.tree.get(path)
        if node is None:
            raise Refused(FileNotFound)
        if node.is_directory:
            raise Refused(PathIsNotAFile)
        if node.writer not in ("", client):
            raise Refused(LeaseExpired)
        node.writer = ""
        return True

    def rename2(self, source: str, destination: str, overwrite: bool) -> None:
        if source == "/":
            raise Refused(InvalidArgument)
        if destination == "/":
            raise Refused(FileAlreadyExists)
        self.check_parents(source, must_exist=True)
        if source not in self.tree:
            raise Refused(FileNotFound)
        self.check_parents(destination, must_exist=True)
        if source == destination:
            raise Refused(FileAlreadyExists)
        moved, target = self.tree[source], self.tree.get(destination)
        if moved.is_directory and paths.is_under(destination, source):
            raise Refused(InvalidArgument)
        if target is not None:
            if not overwrite:
                raise Refused(FileAlreadyExists)
            if moved.is_directory and not target.is_directory:
                raise Refused(NotADirectory)
            if target.is_directory and not moved.is_directory:
                raise Refused(IsADirectory)
            if target.is_directory and self.children(destination):
                raise Refused(DirectoryNotEmpty)
        self.move(source, destination)

    def move(self, source: str, destination: str) -> None:
        self.tree.pop(destination, None)
        names = [name for name in self.tree if paths.is_under(name, source)]
        moved = {destination + name[len(source) :]: self.tree.pop(name) for name in names}
        self.tree.update(moved)

    def rename(self, source: str, destination: str) -> bool:
        if source == "/" or source not in self.tree:
            return False
        if source == destination:
            return not self.tree[source].is_directory
        if destination in self.tree and self.tree[destination].is_directory:
            destination = paths.child(destination, paths.name(source))
        if destination in self.tree:
            return destination == source and not self.tree[source].is_directory
        if self.tree[source].is_directory and paths.is_under(destination, source):
            return False
        try:
            self.rename2(source, destination, False)
        except Refused as refused:
            if refused.error is FileNotFound:
                return False
            raise
        return True

    def delete(self, path: str, recursive: bool) -> bool:
        if path not in self.tree:
            return False
        if self.children(path) and not recursive:
            raise Refused(DirectoryNotEmpty)
        if path == "/":
            return False
        self.remove(path)
        return True

    def set_permission(self, path: str, mode: int) -> None:
        if path not in self.tree:
            raise Refused(FileNotFound)
        self.tree[path].mode = mode


class NamespaceMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.journal: list[bytes] = []
        self.oracle = Oracle()
        self.now_us, self.epoch, self.calls = 1_000_000, 0, 0
        self.batch: Any = None
        self.open()

    def open(self) -> None:
        self.core = Namesystem(OPTIONS, self.store, random.Random(1))
        self.batch = None
        for data in self.journal:
            edit: Edit = CODEC.decode(data)
            if edit.txid > self.core.txid:
                self.core.apply(edit)
        self.epoch += 1
        self.step(events.LeadershipGained(self.epoch))

    def step(self, event: Event) -> list[Any]:
        self.now_us += 1
        effects = self.core.step(event, Instant(self.now_us, self.now_us))
        self.journal += [CODEC.encode(edit) for edit in effects.journal]
        return [send.message for send in effects.sends]

    def caller(self) -> events.Caller:
        self.calls += 1
        return events.Caller(self.calls, "root", (), b"client", self.calls)

    def both(self, event: Event, expected: Any) -> None:
        """`expected` carries the same change out on the oracle."""
        (reply,) = self.step(event)
        try:
            value = expected()
        except Refused as refused:
            assert isinstance(reply, Refusal) and reply.error is refused.error, (
                f"{event}: {reply}, must refuse with {refused.error}"
            )
            return
        assert isinstance(reply, Answer), f"{event}: {reply}, must be {value}"
        if isinstance(value, bool):
            assert reply.value == value, f"{event}: {reply}, must be {value}"
        before = self.journal[:]
        assert self.step(event) == [reply], f"{event} repeated"
        if before != self.journal:
            raise AssertionError(f"{event} repeated changed something")

    @initialize(made=st.lists(PATHS, min_size=3, max_size=8))
    def begin_with_a_tree(self, made: list[str]) -> None:
        for path in made:
            self.mkdirs(path, True)

    @rule(path=PATHS, create_parents=st.booleans())
    def mkdirs(self, path: str, create_parents: bool) -> None:
        self.both(
            events.Mkdirs(self.caller(), path, 0o750, create_parents),
            lambda: self.oracle.mkdirs(path, create_parents),
        )

    @rule(path=PATHS, client=CLIENTS, overwrite=st.booleans(), create_parents=st.booleans())
    def create(self, path: str, client: str, overwrite: bool, create_parents: bool) -> None:
        event = events.Create(self.caller(), path, client, 0o644, overwrite, create_parents, 0, 0)
        self.both(event, lambda: self.oracle.create(path, client, overwrite, create_parents))

    @rule(path=PATHS, client=CLIENTS)
    def complete(self, path: str, client: str) -> None:
        self.both(
            events.Complete(self.caller(), path, client, 0, None),
            lambda: self.oracle.complete(path, client),
        )

    @rule(source=PATHS, destination=PATHS)
    def rename(self, source: str, destination: str) -> None:
        self.both(
            events.Rename(self.caller(), source, destination),
            lambda: self.oracle.rename(source, destination),
        )

    @rule(source=PATHS, destination=PATHS, overwrite=st.booleans())
    def rename2(self, source: str, destination: str, overwrite: bool) -> None:
        event = events.Rename2(self.caller(), source, destination, overwrite)
        self.both(event, lambda: self.oracle.rename2(source, destination, overwrite))

    @rule(path=PATHS, recursive=st.booleans())
    def delete(self, path: str, recursive: bool) -> None:
        self.both(
            events.Delete(self.caller(), path, recursive),
            lambda: self.oracle.delete(path, recursive),
        )

    @rule(path=PATHS, mode=st.integers(0, 0o1777))
    def set_permission(self, path: str, mode: int) -> None:
        self.both(
            events.SetPermission(self.caller(), path, mode),
            lambda: self.oracle.set_permission(path, mode),
        )

    @rule()
    def tick(self) -> None:
        """Deleted trees are reclaimed meanwhile."""
        self.now_us += 600_000
        self.step(Tick())

    @rule()
    @precondition(lambda self: self.batch is None)
    def freeze(self) -> None:
        self.batch = self.core.freeze()

    @rule()
    @precondition(lambda self: self.batch is not None)
    def flush(self) -> None:
        batch, self.batch = self.batch, None
        self.store.write(batch)
        self.step(events.StoreFlushed(batch.counters.txid))

    @rule()
    def restart(self) -> None:
        before = [list(table.items()) for table in self.core.state.overlay.tables]
        self.open()
        assert [list(table.items()) for table in self.core.state.overlay.tables] == before

    @invariant()
    def the_trees_are_equal(self) -> None:
        self.core.check_invariants()
        found: dict[str, Node] = {}
        stack = ["/"]
        while stack:
            path = stack.pop()
            (reply,) = self.step(events.GetFileInfo(self.caller(), path))
            status = reply.value
            assert status is not None, f"{path} is listed and does not exist"
            inode = self.core.state.namespace.require(status.inode_id)
            found[path] = Node(status.is_directory, status.permission, inode.client_name)
            if status.is_directory:
                names = self.listed(path)
                assert names == sorted(names, key=str.encode) and len(names) == status.children
                stack += [f"{path.rstrip('/')}/{name}" for name in names]
        assert found == self.oracle.tree

    def listed(self, path: str) -> list[str]:
        """Page by page, two names at a time."""
        names: list[str] = []
        while True:
            (reply,) = self.step(
                events.GetListing(self.caller(), path, names[-1].encode() if names else b"")
            )
            names += [entry.name.decode() for entry in reply.value.entries]
            if not reply.value.remaining:
                return names

    @rule(path=PATHS)
    def summary(self, path: str) -> None:
        replies = self.step(events.GetContentSummary(self.caller(), path))
        for _ in range(200):
            if replies:
                break
            replies = self.step(Tick())
        (reply,) = replies
        if path not in self.oracle.tree:
            assert reply.error is FileNotFound
            return
        under = [node for name, node in self.oracle.tree.items() if paths.is_under(name, path)]
        counts = (
            sum(1 for node in under if node.is_directory),
            sum(1 for node in under if not node.is_directory),
        )
        assert (reply.value.directories, reply.value.files) == counts


NamespaceMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=50, deadline=None
)
TestNamespace = NamespaceMachine.TestCase
