"""The file system as a program uses it: one object for the namenode's calls, open files and the
datanodes they share.

    with connect("hdfs://127.0.0.1:8020") as fs:
        with fs.create("/greeting") as file: file.write(b"hello")
        fs.open("/greeting").read()

Paths are absolute. Safe to share between threads; after a fork each process gets its own
connections and its own name as a writer. Raises the errors of `minihdfs.errors`, and
`clusterkit.errors.Unavailable` when nobody answers. Imports no gRPC.
"""

from __future__ import annotations

import os
import pwd
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clusterkit import patterns
from clusterkit.errors import UsageError
from minihdfs import paths
from minihdfs.client.api import ClientOptions, NamenodeCalls
from minihdfs.client.datanodes import Datanodes
from minihdfs.errors import FileNotFound, InvalidPath, IsADirectory
from minihdfs.model import (
    RENAMES_MAX,
    ContentSummary,
    DatanodeReportRow,
    FileStatus,
    FsStats,
    LocatedBlock,
    ServerDefaults,
)

if TYPE_CHECKING:  # the data plane is loaded with the first file: `ls` does without it
    from minihdfs.client.leases import LeaseKeeper
    from minihdfs.client.namenode_failover import CallOptions
    from minihdfs.client.reader import FileReader
    from minihdfs.client.writer import FileWriter

SCHEME = "hdfs://"
DEFAULT_PORT = 8020
RENAME_CHARACTERS_PER_CALL = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    path: str
    status: FileStatus

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


Entries = list[Entry]


def connect(
    target: str | Sequence[str] = "",
    *,
    user: str | None = None,
    options: ClientOptions | None = None,
    calls: CallOptions | None = None,
    waiting: Callable[[str], None] | None = None,
) -> FileSystem:
    """`target`: hdfs://HOST[:PORT][/…], HOST:PORT, or several HOST:PORT (a list, or with commas);
    "" is the cluster that MRC_CLUSTER, MRC_HOME or else the user's own home names: raises
    Unavailable when it does not run. No call is made yet.

    `user` is who the namenode is told is asking; by default the name of this process's user.
    `waiting` hears why a call waits for a namenode that is away or starting up, at least every
    second, and "" when it goes on."""
    from minihdfs.client.namenode_calls import NamenodeClient

    if not target:
        from coordinator.connect import find_leaders

        target = find_leaders().namenode()
    addresses = [
        with_port(address)
        for address in (parse_uri(target)[0].split(",") if isinstance(target, str) else target)
    ]
    client = NamenodeClient(addresses, user or own_user(), options=calls, waiting=waiting)
    return FileSystem(client, addresses=addresses, user=user or own_user(), options=options)


def parse_uri(uri: str) -> tuple[str, str]:
    """(authority, path) of hdfs://authority/path; of anything else that has no scheme (itself,
    "")."""
    if uri.startswith(SCHEME):
        authority, slash, path = uri[len(SCHEME) :].partition("/")
        if not authority:
            raise UsageError(f"{uri} names no namenode: hdfs://HOST:PORT/PATH")
        return authority, slash + path
    if "://" in uri:
        raise UsageError(f"{uri}: not a URI of this file system: hdfs://HOST:PORT/PATH")
    return uri, ""


def own_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


class FileSystem:
    def __init__(
        self,
        calls: NamenodeCalls,
        *,
        addresses: Sequence[str],
        user: str,
        options: ClientOptions | None = None,
    ) -> None:
        self.calls, self.user, self.addresses = calls, user, tuple(addresses)
        self._options = options or ClientOptions()
        self._datanodes = Datanodes(self._options.connect_timeout_s, self._options.suspect_s)
        self._leases: LeaseKeeper | None = None
        self._lock = threading.Lock()
        self._defaults: ServerDefaults | None = None
        self._name, self._name_pid = "", 0

    @property
    def uri(self) -> str:
        return SCHEME + ",".join(self.addresses)

    @property
    def home(self) -> str:
        """What relative paths are relative to in Hadoop's shell. It need not exist."""
        return f"/user/{self.user}"

    @property
    def client_name(self) -> str:
        """Who holds this process's leases."""
        with self._lock:
            if self._name_pid != os.getpid():
                self._name_pid = os.getpid()
                self._name = f"mrc_{socket.gethostname()}_{os.getpid()}_{os.urandom(6).hex()}"
            return self._name

    def __enter__(self) -> FileSystem:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives connections back. Files that are still open go on working."""
        self._datanodes.close()
        self.calls.close()

    # ── looking ───────────────────────────────────────────────────────────────────────────────────

    def find(self, path: str) -> FileStatus | None:
        """None for a path that is not there."""
        return self.calls.get_file_info(_checked(path))

    def stat(self, path: str) -> FileStatus:
        """Raises FileNotFound."""
        status = self.find(path)
        if status is None:
            raise FileNotFound(f"{path} does not exist")
        return status

    def exists(self, path: str) -> bool:
        return self.find(path) is not None

    def scan(self, path: str) -> Iterator[Entry]:
        """A directory's entries in byte order of names, a page at a time; a file is its own only
        entry. Raises FileNotFound."""
        after, first = b"", True
        while True:
            page = self.calls.get_listing(_checked(path), after)
            if page is None:
                if first:
                    raise FileNotFound(f"{path} does not exist")
                return  # it went away while it was read
            for status in page.entries:
                yield Entry(
                    paths.join(*paths.components(path), _text(status.name))
                    if status.name
                    else path,
                    status,
                )
            if not page.remaining or not page.entries:
                return
            after, first = page.entries[-1].name, False

    def list(self, path: str) -> Entries:
        return [*self.scan(path)]

    def walk(self, path: str) -> Iterator[Entry]:
        """Everything below a directory, each directory before what it holds. Raises
        FileNotFound."""
        pending = [self.scan(path)]
        while pending:
            entry = next(pending[-1], None)
            if entry is None:
                pending.pop()
                continue
            yield entry
            if entry.status.is_directory:
                pending.append(self._scan_if_there(entry.path))

    def glob(self, pattern: str) -> Entries:
        """What a pattern matches, in order. A path, or the front of one, that exists as it is
        written wins over its reading as a pattern. A pattern that matches nothing gives an empty
        list, and so does a plain path that does not exist."""
        literal = self.find(pattern) if self._sayable(pattern) else None
        if literal is not None:
            return [Entry(paths.normal(pattern), literal)]
        found = {
            entry.path: entry for one in patterns.expanded(pattern) for entry in self._glob_one(one)
        }
        return [found[path] for path in sorted(found, key=lambda path: paths.components(path))]

    def content_summary(self, path: str) -> ContentSummary:
        return self.calls.get_content_summary(path)

    def fs_stats(self) -> FsStats:
        return self.calls.get_fs_stats()

    def datanode_report(self, which: str = "all") -> Sequence[DatanodeReportRow]:
        return self.calls.get_datanode_report(which)

    def server_defaults(self) -> ServerDefaults:
        if self._defaults is None:
            self._defaults = self.calls.get_server_defaults()
        return self._defaults

    def locate(
        self, path: str, offset: int = 0, length: int | None = None
    ) -> Sequence[LocatedBlock]:
        """The blocks that hold [offset, offset + length), whole file by default, and their
        datanodes. Raises FileNotFound."""
        from minihdfs.client.block_map import BlockMap

        block_map = BlockMap(self.calls, path)
        return block_map.blocks(offset, block_map.length if length is None else length)

    # ── files ─────────────────────────────────────────────────────────────────────────────────────

    def open(self, path: str) -> FileReader:
        """Raises FileNotFound, IsADirectory. Wrap it in io.BufferedReader for many small reads."""
        from minihdfs.client.reader import FileReader

        try:
            return FileReader(
                self.calls,
                self._datanodes,
                _checked(path),
                client_name=self.client_name,
                options=self._options,
            )
        except FileNotFound:
            status = self.find(path)  # some namenodes say of a directory that no such file exists
            if status is not None and status.is_directory:
                raise IsADirectory(f"{path} is a directory") from None
            raise

    def create(
        self,
        path: str,
        *,
        overwrite: bool = False,
        replication: int = 0,
        block_bytes: int = 0,
        permission: int = 0o644,
        create_parents: bool = True,
        resend_bytes: int | None = None,
    ) -> FileWriter:
        """Visible at once, with no bytes; complete when the writer is closed. `resend_bytes`
        overrides the option for one file."""
        from minihdfs.client.writer import FileWriter

        defaults, name, options = self.server_defaults(), self.client_name, self._options
        if resend_bytes is not None:
            options = replace(options, resend_bytes=resend_bytes)
        status = self.calls.create(
            _checked(path),
            name,
            permission=permission,
            overwrite=overwrite,
            create_parents=create_parents,
            replication=replication or defaults.replication,
            block_bytes=block_bytes or defaults.block_bytes,
        )
        return FileWriter(
            self.calls,
            self._datanodes,
            path,
            status,
            defaults,
            client_name=name,
            options=options,
            lease_holder=self._lease_keeper(),
        )

    # ── the namespace ─────────────────────────────────────────────────────────────────────────────

    def mkdirs(self, path: str, *, permission: int = 0o755, create_parents: bool = True) -> None:
        """An existing directory is no error, a file in the way is."""
        self.calls.mkdirs(_checked(path), permission, create_parents)

    def rename(self, source: str, destination: str) -> bool:
        """Hadoop's older call: into an existing directory; False for a missing source or an
        existing destination."""
        return self.calls.rename(_checked(source), _checked(destination))

    def rename2(self, source: str, destination: str, *, overwrite: bool = False) -> None:
        """To exactly `destination`, atomically. Raises FileNotFound, FileAlreadyExists."""
        self.calls.rename2(_checked(source), _checked(destination), overwrite)

    def rename_many(self, pairs: Sequence[tuple[str, str]]) -> None:
        """In calls of at most RENAMES_MAX, and of a megabyte of names; each call is all or nothing
        and may be repeated."""
        part: list[tuple[str, str]] = []
        size = 0
        for pair in pairs:
            size += len(pair[0]) + len(pair[1])
            if part and (len(part) >= RENAMES_MAX or size > RENAME_CHARACTERS_PER_CALL):
                self.calls.rename_many(part)
                part, size = [], len(pair[0]) + len(pair[1])
            part.append(pair)
        if part:
            self.calls.rename_many(part)

    def publish(
        self, staging: str, destination: str, *, replaced_inode_id: int = 0, tracker_epoch: int = 0
    ) -> int:
        """Renames a directory into place in one edit, fenced by `tracker_epoch`; the inode id of
        what is there now."""
        return self.calls.publish(staging, destination, replaced_inode_id, tracker_epoch)

    def delete(self, path: str, *, recursive: bool = False) -> bool:
        """False for a path that is not there. Raises DirectoryNotEmpty."""
        return self.calls.delete(_checked(path), recursive)

    def set_permission(self, path: str, permission: int) -> None:
        self.calls.set_permission(path, permission)

    def set_owner(self, path: str, owner: str = "", group: str = "") -> None:
        self.calls.set_owner(path, owner, group)

    def set_times(
        self, path: str, modified_us: int | None = None, accessed_us: int | None = None
    ) -> None:
        """None leaves a time as it is; those before 1970 are negative."""
        self.calls.set_times(path, modified_us, accessed_us)

    def set_replication(self, path: str, replication: int) -> bool:
        """False for a directory."""
        return self.calls.set_replication(path, replication)

    # ── parts ─────────────────────────────────────────────────────────────────────────────────────

    def _lease_keeper(self) -> LeaseKeeper:
        from minihdfs.client.leases import LeaseKeeper

        with self._lock:
            if self._leases is None:
                self._leases = LeaseKeeper(
                    lambda: self.calls.renew_lease(self.client_name), self._options.renew_lease_s
                )
            return self._leases

    def _scan_if_there(self, path: str) -> Iterator[Entry]:
        try:
            yield from self.scan(path)
        except FileNotFound:  # deleted while its parent was walked
            return

    def _glob_one(self, pattern: str) -> Iterator[Entry]:
        here = [Entry("/", self.stat("/"))]
        for component in (name for name in pattern.split("/") if name):
            step: Entries = []
            for entry in here:
                step += self._matching(entry, component)
            here = step
        yield from here

    def _matching(self, directory: Entry, component: str) -> Entries:
        if not directory.status.is_directory:
            return []
        for literal in dict.fromkeys(
            [component, *([patterns.unescaped(component)] if patterns.is_plain(component) else [])]
        ):
            path = f"{directory.path.rstrip('/')}/{literal}"
            status = self.find(path) if self._sayable(path) else None
            if status is not None:
                return [Entry(path, status)]
        if patterns.is_plain(component):
            return []
        wanted, shows_hidden = patterns.matcher(component), component.startswith(".")
        entries = (
            entry for entry in self._scan_if_there(directory.path) if wanted.fullmatch(entry.name)
        )
        return [
            entry for entry in entries if shows_hidden or not entry.name.startswith(".")
        ]  # as every shell

    @staticmethod
    def _sayable(path: str) -> bool:
        try:
            paths.components(path)
        except InvalidPath:
            return False
        return True


def _checked(path: str) -> str:
    """Raises InvalidPath here for what could not even be sent: a name that UTF-8 cannot say."""
    paths.components(path)
    return path


def with_port(address: str) -> str:
    host, colon, port = address.strip().rpartition(":")
    if not colon or (port and not port.isdigit()):
        return f"{address.strip()}:{DEFAULT_PORT}"
    return f"{host}:{port or DEFAULT_PORT}"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
