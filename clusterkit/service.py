"""What every daemon keeps: its locked data directory with an identity, and the announcement that it
serves.

Liveness of a local process is a held flock in its data directory, never `kill(pid, 0)`: an orphan
stays a zombie for seconds and pids come round again. Every file begins with a magic and a version.
Services open their DataDirectory; the root writes the Announcement once the service has started and
withdraws it on an orderly exit.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from clusterkit.durable_file import fsync_directory, make_directory, write_durably
from clusterkit.errors import ClusterError, CorruptRecord, Fenced

T = TypeVar("T")

IDENTITY_MAGIC = "mrcluster identity"
IDENTITY_VERSION = 1
LOCK_PATIENCE_S = 0.2


class Service(Protocol):
    """The face of every daemon's shell, as roots and tests see it."""

    @property
    def address(self) -> str: ...

    @property
    def ports(self) -> Mapping[str, int]: ...

    def start(self) -> None:
        """Returns when the service serves; raises ClusterError when it cannot."""
        ...

    def wait(self) -> None:
        """Blocks until stopped; raises what made it fail."""
        ...

    def stop(self) -> None:
        """Asks for an orderly end, from any thread; `wait` then returns."""
        ...


class Identity(msgspec.Struct, frozen=True):
    magic: str = IDENTITY_MAGIC
    version: int = IDENTITY_VERSION
    role: str = ""
    node_id: str = ""
    cluster_id: str = ""
    ports: dict[str, int] = {}
    # the cluster that this directory offered to begin; becomes its own when the coordinator takes
    # the offer
    forming: str = ""
    # made at random with the directory: two directories with the same one are copies of each other
    instance: str = ""
    parts: dict[
        str, str
    ] = {}  # other directories that belong to this one, by path, each with the id it had


class DataDirectory:
    """One daemon's directory, held by this process until `close` or death."""

    def __init__(self, path: Path, locks: tuple[int, ...], identity: Identity, fresh: bool) -> None:
        self.path, self.fresh = path, fresh
        self._locks = locks
        self._identity = identity
        self._epochs = _read(path / "epochs.json", dict[str, int], {})

    @classmethod
    def open(cls, path: Path, role: str, node_id: str) -> DataDirectory:
        """Raises ClusterError when another process holds it or it belongs to another node."""
        path = Path(path)
        make_directory(path)
        locks = _hold(path)
        try:
            identity, fresh = cls._identify(path, role, node_id)
        except ClusterError:
            _let_go(locks)
            raise
        return cls(path, locks, identity, fresh)

    @staticmethod
    def _identify(path: Path, role: str, node_id: str) -> tuple[Identity, bool]:
        file = path / "identity.json"
        if not file.exists():
            strangers = sorted(
                p.name for p in path.iterdir() if p.name != "lock" and not p.name.startswith(".")
            )
            if strangers:
                raise ClusterError(
                    f"{path} holds {', '.join(strangers[:3])} but no identity.json: not a data "
                    "directory of this software",
                    next_command=f"ls -la {path}",
                )
            identity = Identity(role=role, node_id=node_id, instance=secrets.token_hex(16))
            write_durably(file, msgspec.json.encode(identity))
            return identity, True
        identity = _read(file, Identity, Identity())
        if identity.magic != IDENTITY_MAGIC or identity.version > IDENTITY_VERSION:
            raise ClusterError(
                f"{file} has format {identity.magic!r} {identity.version}; this version reads "
                f"{IDENTITY_VERSION}"
            )
        if (identity.role, identity.node_id) != (role, node_id):
            raise ClusterError(
                f"{path} belongs to {identity.role} {identity.node_id}, not to {role} {node_id}"
            )
        return identity, False

    @property
    def cluster_id(self) -> str:
        """Empty until adopted."""
        return self._identity.cluster_id

    def adopt(self, cluster_id: str) -> None:
        """Makes this the directory of a cluster, once; raises ClusterError for another one."""
        if self.cluster_id == cluster_id:
            return
        if self.cluster_id:
            raise ClusterError(
                f"{self.path} belongs to cluster {self.cluster_id}, not to {cluster_id}",
                next_command=f"ls {self.path}",
            )
        self._save(msgspec.structs.replace(self._identity, cluster_id=cluster_id, forming=""))

    @property
    def node_id(self) -> str:
        return self._identity.node_id

    @property
    def instance(self) -> str:
        """Made at random with the directory; a copy has the same one."""
        return self._identity.instance

    @property
    def lock_inode(self) -> int:
        return os.fstat(self._locks[0]).st_ino

    @property
    def place(self) -> str:
        """Where the lock is held that proves an older process of this directory dead: this machine
        since this boot, this very file."""
        seen = os.fstat(self._locks[0])
        return f"{machine_id()} {boot_id()} {seen.st_dev}:{seen.st_ino}"

    @property
    def forming(self) -> str:
        """The id of the cluster this directory offered to begin and does not know the answer; ""
        when there is none."""
        return self._identity.forming

    def form(self, cluster_id: str) -> None:
        """Remembers an offer before it is made, or forgets it (""): it is no cluster's directory
        until `adopt`."""
        if cluster_id != self.forming:
            self._save(msgspec.structs.replace(self._identity, forming=cluster_id))

    @property
    def ports(self) -> dict[str, int]:
        """The ports bound last time: a restarted daemon binds them again."""
        return dict(self._identity.ports)

    def remember_ports(self, ports: Mapping[str, int]) -> None:
        if dict(ports) != self._identity.ports:
            self._save(msgspec.structs.replace(self._identity, ports=dict(ports)))

    @property
    def parts(self) -> dict[str, str]:
        """Other directories that belong to this one, each by the id it had: one that is empty later
        is not the same."""
        return dict(self._identity.parts)

    def remember_parts(self, parts: Mapping[str, str]) -> None:
        if dict(parts) != self._identity.parts:
            self._save(msgspec.structs.replace(self._identity, parts=dict(parts)))

    def highest_epoch(self, service: str) -> int:
        return self._epochs.get(service, 0)

    def saw_epoch(self, service: str, number: int) -> None:
        """Persists a new highest epoch of a service before it is obeyed. Raises Fenced for a lower
        one."""
        highest = self.highest_epoch(service)
        if number < highest:
            raise Fenced(f"{service} epoch {number} is older than {highest}, seen before")
        if number > highest:
            self._epochs[service] = number
            write_durably(self.path / "epochs.json", msgspec.json.encode(self._epochs))

    def close(self) -> None:
        """Lets go of the lock. The process's death does the same."""
        locks, self._locks = self._locks, ()
        _let_go(locks)

    def _save(self, identity: Identity) -> None:
        write_durably(self.path / "identity.json", msgspec.json.encode(identity))
        self._identity = identity


def identity_of(path: Path) -> Identity | None:
    """Whose data directory that is; None when it is none of ours."""
    try:
        identity = _read(path / "identity.json", Identity, None)
    except OSError:
        return None
    return identity if identity.magic == IDENTITY_MAGIC else None


def machine_id() -> str:
    """Of this installation of an operating system; "" where there is none (some containers)."""
    for name in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            return Path(name).read_text().strip()
    return ""


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _hold(path: Path) -> tuple[int, ...]:
    """Descriptors that hold the directory: of the lock file, which says by whom, and of the
    directory itself, because a file can be swept away under its holder, and a second daemon would
    then hold another one of the same name until the first looks. Raises ClusterError."""
    file = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if not _lock(file) or not _lock_directory(directory):
        said = os.pread(file, 32, 0).decode(errors="replace").strip()
        _let_go((file, directory))
        by = f"process {said}" if said else "a process whose lock file was deleted"
        raise ClusterError(f"{path} is in use by {by}", next_command="mrc status")
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return file, directory


def _lock_directory(fd: int) -> bool:
    """False when another daemon holds it. Where directories cannot be locked (some network file
    systems) the file has to do."""
    try:
        return _lock(fd)
    except OSError:
        return True


def _let_go(locks: tuple[int, ...]) -> None:
    for fd in locks:
        os.close(fd)


def _lock(fd: int) -> bool:
    """False when another daemon holds it. Somebody who only asks (`is_held`) has it for
    microseconds: that must not refuse a daemon."""
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)


def is_held(data_directory: Path) -> bool:
    """Does a living process hold this data directory?"""
    return holder(data_directory) is not None


def holder(data_directory: Path) -> int | None:
    """The living process that holds this data directory, 0 when it has not said its number yet;
    None when nobody does."""
    try:
        fd = os.open(data_directory / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        said = os.pread(fd, 32, 0).strip()
        return int(said) if said.isdigit() else 0
    finally:
        os.close(fd)


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """HOME/daemons/ROLE-ID.json: where a daemon of this machine serves. `mrc` finds the cluster by
    it."""

    role: str
    id: str
    pid: int
    address: str
    ports: dict[str, int] = {}
    data_dirs: list[str] = []
    log: str = ""
    epoch: int = 0
    facts: dict[str, str] = {}

    def publish(self, home: Path) -> None:
        directory = home / "daemons"
        directory.mkdir(parents=True, exist_ok=True)
        write_durably(directory / f"{self.role}-{self.id}.json", msgspec.json.encode(self))

    def is_published(self, home: Path) -> bool:
        with contextlib.suppress(OSError):
            return (
                home / "daemons" / f"{self.role}-{self.id}.json"
            ).read_bytes() == msgspec.json.encode(self)
        return False

    def withdraw(self, home: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            (home / "daemons" / f"{self.role}-{self.id}.json").unlink()
            fsync_directory(home / "daemons")


def announcements(home: Path) -> Iterator[Announcement]:
    """Every announcement below a home, by role and id, whether its daemon still lives or not
    (`is_held` tells). It only repeats what a daemon knows: one that is cut or empty is as good as
    missing, and its daemon says it again."""
    directory = home / "daemons"
    for path in sorted(directory.glob("*.json")) if directory.is_dir() else ():
        with contextlib.suppress(FileNotFoundError, CorruptRecord):
            yield _read(path, Announcement, None)


def _read(path: Path, kind: type[T], default: T | None) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        if default is None:
            raise
        return default
    except msgspec.DecodeError as error:
        raise CorruptRecord(
            f"{path} does not decode: {error}", next_command=f"cat {path}"
        ) from error
