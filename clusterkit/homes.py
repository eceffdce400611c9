"""Which data directory is the one: for a service whose journal lies on one machine only.

The coordinator elects whoever asks; it cannot know that a directory is a copy (a cloned machine, a
restored backup, a second machine that was set up alike), whose journal lacks what the original
acknowledged since. So the leader of each epoch leaves word in the coordinator's settings under
SERVICE_home: on which machine, which lock file, which instance of the directory, which epoch.
Another directory refuses to start, in words, until somebody says that what it lacks may be lost
(`adopt`). A reboot is the same home: the boot counts only for `DataDirectory.place`, by which an
election replaces an older process of the same directory at once.
"""

from __future__ import annotations

import socket
from typing import Protocol

import msgspec

from clusterkit.errors import ClusterError, CorruptRecord, Fenced
from clusterkit.service import DataDirectory, machine_id


class NotTheHome(ClusterError):
    """This directory is not the one that the service was last led from."""

    code = "NOT_THE_HOME"


class Setting(Protocol):
    @property
    def value(self) -> bytes: ...

    @property
    def version(self) -> int: ...


class Settings(Protocol):
    """What is needed of the coordinator's settings."""

    def get(self, key: str) -> Setting | None: ...

    def set(self, key: str, value: bytes, *, version: int | None = None) -> int: ...


class HomeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`host` and `path` are for people."""

    node_id: str
    machine: str
    lock_inode: int
    instance: str
    epoch: int
    host: str = ""
    path: str = ""

    @property
    def where(self) -> str:
        return f"{self.path} on {self.host} ({self.node_id}, epoch {self.epoch})"


class ServiceHome:
    """One directory's view of SERVICE_home. `what` names what it holds ("file system"); `adopting`
    is the command that accepts a loss."""

    def __init__(
        self,
        service: str,
        directory: DataDirectory,
        settings: Settings,
        *,
        what: str,
        adopting: str,
    ) -> None:
        self._service, self._directory, self._settings = service, directory, settings
        self._what, self._adopting = what, adopting
        self._key, self._version = f"{service}_home", 0

    def check(self) -> None:
        """Raises NotTheHome when the service was last led from somewhere else, or from here in an
        epoch that this directory lacks."""
        known, mine = self.known(), self.mine(0)
        if known is None:
            return
        if (known.machine, known.lock_inode, known.instance) == (
            mine.machine,
            mine.lock_inode,
            mine.instance,
        ):
            if self._directory.highest_epoch(self._service) >= known.epoch:
                return
            cause = (
                "it was restored: it knows no epoch above "
                f"{self._directory.highest_epoch(self._service)}"
            )
        else:
            cause = (
                "this is a copy" if known.instance == mine.instance else "this is another directory"
            )
        raise NotTheHome(
            f"{self._directory.path}: {cause}: the {self._what} was last led from {known.where}, "
            "and what happened there since is not here",
            next_command=self._adopting.format(directory=self._directory.path),
        )

    def take(self, epoch: int) -> None:
        """Leaves word that this directory leads from here, before anything is acknowledged in that
        epoch. Raises NotTheHome, Fenced."""
        self.check()
        self._write(epoch)

    def adopt(self) -> None:
        """Makes this directory the home, whatever it lacks. Raises ClusterError where it is that
        already."""
        known = self.known()
        if known is None:
            raise ClusterError(
                f"the {self._what} has no other home: {self._directory.path} needs no adoption",
                next_command="mrc up",
            )
        try:
            self.check()
        except NotTheHome:
            self._write(self._directory.highest_epoch(self._service))
            return
        raise ClusterError(
            f"the {self._what} was last led from {self._directory.path} itself: nothing to adopt",
            next_command="mrc up",
        )

    def known(self) -> HomeRecord | None:
        setting = self._settings.get(self._key)
        self._version = setting.version if setting is not None else 0
        if setting is None:
            return None
        try:
            return msgspec.json.decode(setting.value, type=HomeRecord)
        except msgspec.DecodeError as error:
            raise CorruptRecord(
                f"setting {self._key} of the coordinator does not decode: {error}"
            ) from error

    def mine(self, epoch: int) -> HomeRecord:
        directory = self._directory
        return HomeRecord(
            node_id=directory.node_id,
            machine=machine_id(),
            lock_inode=directory.lock_inode,
            instance=directory.instance,
            epoch=epoch,
            host=socket.gethostname(),
            path=str(directory.path.absolute()),
        )

    def _write(self, epoch: int) -> None:
        try:
            self._version = self._settings.set(
                self._key, msgspec.json.encode(self.mine(epoch)), version=self._version
            )
        except ClusterError as error:
            if error.code != "CONFLICT":
                raise
            raise Fenced(
                f"another process became the home of the {self._what} at this moment",
                next_command="mrc status",
            ) from error
