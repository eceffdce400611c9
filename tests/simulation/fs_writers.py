"""Clients that write against one another in the simulator: logs in /shared that one client writes
and another takes over.

The ledger of a log: what its writer wrote, how much of its open last block was noted at the
namenode (an hflush of a file that a reader may have met), and what the file held when somebody was
first told that it is closed. Promises: noted bytes are there; a closed file does not change,
whatever its former writer still says (a zombie's complete, its abort, its next block); a writer who
is told that its file is complete finds every byte in it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minihdfs.errors import FileNotFound, LeaseExpired, NoDatanodes, NotReplicatedYet
from minihdfs.model import BlockRef
from minihdfs.namenode.core import events
from minihdfs.namenode.core.commands import Answer, Refusal
from tests.simulation.kernel import MS, Violation

if TYPE_CHECKING:
    from tests.simulation.fs_clients import Client

Steps = Generator[Any, Any, Any]


@dataclass(slots=True)
class Log:
    path: str
    writer: str
    written: list[str] = field(default_factory=list)
    """Contents of its blocks, as far as datanodes acknowledged them."""
    unsure: str = ""
    """Of a block more that nobody acknowledged and that could not be abandoned any more: it may be
    there."""
    noted: int = 0
    """Bytes of the file that the namenode was told are there."""
    completed: bool = False
    closed_at: int = -1
    """Its length when somebody was told that it is closed; -1 = nobody was."""


@dataclass(slots=True)
class Shared:
    """What the clients of one world share: not a process, the ledger of what they were told."""

    zombie_deletes: bool
    """The planted bug "abort-by-path": a writer that lost its file deletes it on giving up."""
    winners: dict[str, list[str]] = field(default_factory=dict)
    logs: dict[str, Log] = field(default_factory=dict)


def write_log(client: Client, shared: Shared) -> Steps:
    log = Log(f"/shared/log-{client.name}-{client.operations}", client.name)
    replication = client.rng.choice((0, 2, 3))
    reply = yield from client.call(
        f"create {log.path}",
        lambda caller: events.Create(
            caller, log.path, client.name, 0o644, False, True, replication, 0
        ),
    )
    if not isinstance(reply, Answer):
        raise Violation(f"{client.name}: create {log.path}: {reply}")
    inode_id, last = reply.value.inode_id, None
    shared.logs[log.path] = log
    lost = False
    for number in range(client.rng.randrange(1, 4)):
        content = f"{log.path}#{number}." + "y" * client.rng.randrange(20)
        last = yield from _append(client, log, inode_id, last, content)
        lost = last is None
        if lost:
            break
        yield "sleep", client.rng.randrange(0, 2_000 * MS)
    if not lost:
        lost = not (yield from _finish(client, log, inode_id, last))
    if lost:
        yield from _give_up(client, shared, log, inode_id)


def _append(
    client: Client, log: Log, inode_id: int, previous: BlockRef | None, content: str
) -> Steps:
    """One block, perhaps noted; None when the file is not this client's any more."""
    exclude: tuple[str, ...] = ()
    while True:
        without = exclude
        reply = yield from client.call(
            f"addBlock {log.path}",
            lambda caller: events.AddBlock(
                caller,
                log.path,
                client.name,
                inode_id,
                previous,
                without,  # noqa: B023
            ),
        )
        if isinstance(reply, Refusal):
            if reply.error in (LeaseExpired, FileNotFound):
                return None
            if reply.error not in (NoDatanodes, NotReplicatedYet):
                raise Violation(f"{client.name}: addBlock {log.path}: {reply}")
            exclude = ()
            yield "sleep", 300 * MS
            continue
        block = reply.value.block
        written = BlockRef(block.id, block.stamp, len(content))
        names = [address.uuid for address in reply.value.locations]
        answers = yield "scatter", dict.fromkeys(names, ("write", written, content)), 800 * MS
        if answers:
            break
        reply = yield from client.call(
            f"abandonBlock {log.path}",
            lambda caller: events.AbandonBlock(caller, log.path, client.name, inode_id, block),  # noqa: B023
        )
        if isinstance(reply, Refusal):
            log.unsure = content
            return None
        exclude = tuple(names)
    log.written.append(content)
    if client.rng.random() < 0.6:
        noted = sum(map(len, log.written))
        reply = yield from client.call(
            f"fsync {log.path}",
            lambda caller: events.Fsync(caller, log.path, client.name, inode_id, len(content)),
        )
        if isinstance(reply, Refusal):
            return None
        log.noted = noted
    return written


def _finish(client: Client, log: Log, inode_id: int, last: BlockRef | None) -> Steps:
    """False when the file is not this client's any more."""
    if (
        log.closed_at >= 0 and last is not None and client.rng.random() < 0.5
    ):  # it lost count, and nobody may confirm what is not there
        more = BlockRef(last.id, last.stamp, last.length + 1)
        reply = yield from client.call(
            f"complete {log.path}",
            lambda caller: events.Complete(caller, log.path, client.name, inode_id, more),
        )
        if isinstance(reply, Answer) and reply.value:
            raise Violation(
                f"{client.name}: complete {log.path}, which others closed, with {more} was "
                f"answered {reply}"
            )
    while True:
        reply = yield from client.call(
            f"complete {log.path}",
            lambda caller: events.Complete(caller, log.path, client.name, inode_id, last),
        )
        if isinstance(reply, Refusal):
            if reply.error not in (LeaseExpired, FileNotFound):
                raise Violation(f"{client.name}: complete {log.path}: {reply}")
            return False
        if reply.value:
            log.completed = True
            return True
        yield "sleep", 200 * MS


def _give_up(client: Client, shared: Shared, log: Log, inode_id: int) -> Steps:
    """What a writer does whose file was taken over: it clears up after itself, and must not touch
    what is not its own any more."""
    if shared.zombie_deletes:
        yield from client.call(
            f"abort {log.path}", lambda caller: events.Delete(caller, log.path, False)
        )
        return
    yield from client.call(
        f"abandonFile {log.path}", lambda caller: events.AbandonFile(caller, inode_id, client.name)
    )


def take_over(client: Client, shared: Shared) -> Steps:
    """Somebody else's open log is closed under its writer; what it holds then is what it holds for
    ever."""
    candidates = [
        path
        for path, log in sorted(shared.logs.items())
        if log.closed_at < 0 and not log.completed and log.writer != client.name
    ]
    if not candidates:
        return
    log = shared.logs[client.rng.choice(candidates)]
    for _ in range(40):
        reply = yield from client.call(
            f"recoverLease {log.path}",
            lambda caller: events.RecoverLease(caller, log.path, client.name),
        )
        if isinstance(reply, Refusal):
            raise Violation(f"{client.name}: recoverLease {log.path}: {reply}")
        if reply.value:
            break
        yield "sleep", 200 * MS
    else:
        return
    status = yield from client.sure(
        f"stat {log.path}", lambda caller: events.GetFileInfo(caller, log.path), ...
    )
    if log.closed_at < 0:
        log.closed_at = status.length
