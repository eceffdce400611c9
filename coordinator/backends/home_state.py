"""What the coordinator of one machine keeps: HOME/state.json, replaced whole under one lock, and
HOME/sessions, where each session's process holds a lock for as long as it lives.

The epoch and who got it are one replacement of the file, so there is no moment with the one and
without the other: whoever is killed in between has changed nothing, or has used the epoch up. The
lock is of `state.lock` and of the home itself: a file can be swept away under its holder. Reading
takes no lock and needs no right to write.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from clusterkit.durable_file import write_durably
from clusterkit.errors import CorruptRecord, Unavailable
from coordinator.errors import MAX_EPOCH

LOCK_PATIENCE_S = 10.0
"""Longer than a slow disk takes for two fsyncs; a process that is stopped while it has the lock is
then named."""
LOCK_LOOK_S = 0.001
READ_BYTES = 1 << 20

Epoch = Annotated[int, Meta(ge=0, le=MAX_EPOCH)]
NEXT_COMMAND = {
    errno.ENOSPC: "df -h {home}",
    errno.EDQUOT: "df -h {home}",
    errno.EROFS: "findmnt -T {home}",
    errno.EACCES: "ls -ld {home} {path}",
    errno.EPERM: "ls -ld {home} {path}",
    errno.ENOENT: "mrc up",
}


class LeaderRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    address: str
    place: str
    epoch: Epoch
    session: str


class MemberRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: str
    capabilities: dict[str, str]
    session: str


class SettingRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    value: bytes
    version: Annotated[int, Meta(ge=1)]


class State(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`epochs`: the highest that was handed out for each service. `moved`: the URL of the
    coordinator that this cluster has now; nobody is elected here any more."""

    magic: Literal["mrcluster state"]
    version: Literal[1]
    moved: str = ""
    epochs: dict[str, Epoch] = {}
    leaders: dict[str, LeaderRow] = {}
    members: dict[str, dict[str, MemberRow]] = {}
    settings: dict[str, SettingRow] = {}


class HomeFiles:
    """The files of one home. Raises Unavailable where the disk refuses, CorruptRecord for a
    state.json that is none: what it held is not known, so nothing is made up in its place."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._state, self._sessions = home / "state.json", home / "sessions"

    def read(self) -> State:
        with self._in_words(self._state):
            try:
                fd = os.open(self._state, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                return State(magic="mrcluster state", version=1)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise self._foreign("it is no file")
                data = b"".join(iter(lambda: os.read(fd, READ_BYTES), b""))
            finally:
                os.close(fd)
        try:
            return msgspec.json.decode(data, type=State)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._foreign(str(error) if data else "it is empty") from error

    def _foreign(self, cause: str) -> CorruptRecord:
        return CorruptRecord(
            f"{self._state} is none that this version can read ({cause}): which epochs were handed "
            "out is not known, and nobody is elected; put it back from a backup, or move it away: "
            "the data directories know their own epochs",
            next_command=f"head -c 300 {self._state}",
        )

    @contextlib.contextmanager
    def changing(self) -> Iterator[State]:
        """The state, for this process alone; what the block makes of it is durable when the block
        has ended. An error inside changes nothing."""
        with self.locked():
            state = self.read()
            before = msgspec.json.encode(state)
            self._forget_the_dead(state)
            yield state
            after = msgspec.json.encode(state)
            if after != before:
                with self._in_words(self._state):
                    write_durably(self._state, after)

    def _forget_the_dead(self, state: State) -> None:
        alive = {row.session: self.is_alive(row.session) for row in _rows(state)}
        state.leaders = {s: row for s, row in state.leaders.items() if alive[row.session]}
        state.members = {
            role: {id_: row for id_, row in rows.items() if alive[row.session]}
            for role, rows in state.members.items()
        }

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        path = self.home / "state.lock"
        with contextlib.ExitStack() as held:
            with self._in_words(path):
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                held.callback(os.close, file)
                home = os.open(self.home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                held.callback(os.close, home)
                self._wait_for(file)
                with contextlib.suppress(OSError):  # network file systems lock no directory
                    self._wait_for(home)
            yield

    def _wait_for(self, fd: int) -> None:
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Unavailable(
                        f"{self.home}/state.lock has been held for {LOCK_PATIENCE_S:g} s: a "
                        "process was stopped while it had it",
                        next_command=f"fuser -v {self.home}/state.lock",
                    ) from None
                time.sleep(LOCK_LOOK_S)

    # ── sessions ──────────────────────────────────────────────────────────────────────────────────

    def hold_session(self, name: str, member_id: str) -> int:
        """Makes the session's file and returns the descriptor that holds it; under `locked`. Sweeps
        away what processes left that were killed."""
        with self._in_words(self._sessions):
            self._sessions.mkdir(mode=0o700, exist_ok=True)
            self._sweep()
            path, beside = self._sessions / name, self._sessions / f".{name}.{secrets.token_hex(4)}"
            fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.write(fd, f"{os.getpid()} {member_id}\n".encode())
                beside.rename(path)  # held from the moment that it can be seen
            except BaseException:
                os.close(fd)
                beside.unlink(missing_ok=True)
                raise
        return fd

    def holds(self, name: str, fd: int) -> bool:
        """Is what others meet under that name still what this process holds?"""
        try:
            seen, mine = (self._sessions / name).stat(), os.fstat(fd)
        except FileNotFoundError:
            return False
        return (seen.st_dev, seen.st_ino) == (mine.st_dev, mine.st_ino)

    def let_go(self, name: str, fd: int) -> None:
        with contextlib.suppress(OSError):
            if self.holds(name, fd):
                (self._sessions / name).unlink()
        os.close(fd)

    def is_alive(self, session: str) -> bool:
        """By the kernel's word: a process that died, however, holds nothing any more, and whoever
        got its number holds other files."""
        path = self._sessions / session
        with self._in_words(path):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                return False
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
            except BlockingIOError:
                return True
            finally:
                os.close(fd)

    def _sweep(self) -> None:
        for path in self._sessions.iterdir():
            if not self.is_alive(path.name):
                path.unlink(missing_ok=True)
        for path in self.home.glob(".state.json.*.tmp"):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _in_words(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            known = NEXT_COMMAND.get(error.errno or 0, "ls -ld {home} {path}")
            raise Unavailable(
                f"{error.filename or path}: {error.strerror or error}: the coordinator of one "
                "machine is files of its home",
                next_command=known.format(home=self.home, path=path),
            ) from error


def _rows(state: State) -> Iterator[LeaderRow | MemberRow]:
    yield from state.leaders.values()
    for rows in state.members.values():
        yield from rows.values()
