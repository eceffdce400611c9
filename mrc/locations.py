"""What an argument names: which file system, and which path in it. One reading for every verb.

A URI's path is taken as it is written, as Hadoop takes it: `#`, `?`, `%` and spaces are part of the
name, nothing is decoded. A bare path can say every name (`./hdfs:x` for one that looks like a URI).
`.` and `..` are resolved by their letters, doubled slashes are one.
"""

from __future__ import annotations

import posixpath
import re
import socket
from dataclasses import dataclass

from clusterkit.errors import UsageError
from minihdfs.client.filesystem import with_port

_URI = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)|(file|hdfs):(?=/))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Location:
    """`scheme` "" = a bare path. `prefix` is what was written before the path, for showing it the
    same way."""

    scheme: str
    authority: str
    path: str
    prefix: str = ""
    directory_meant: bool = False  # a slash at its end

    @property
    def is_local(self) -> bool:
        return self.scheme == "file"


def location(text: str) -> Location:
    """Raises UsageError for an empty argument, and for a scheme or host that is not known here."""
    if not text:
        raise UsageError("an empty argument names no file", next_command="mrc fs ls .")
    match = _URI.match(text)
    if match is None:
        return Location("", "", text, "", _means_directory(text))
    scheme, authority, path = (match[1] or match[3]).lower(), match[2] or "", text[match.end() :]
    if scheme not in ("file", "hdfs"):
        raise UsageError(
            f"{text}: not a URI of this file system: hdfs://HOST:PORT/PATH, or file:///PATH for "
            "this machine"
        )
    if scheme == "file" and (authority not in ("", "localhost") or not path):
        raise UsageError(
            f"{text}: a file of this machine is file:///PATH", next_command="mrc fs --help"
        )
    if scheme == "hdfs" and not authority and not path:
        raise UsageError(f"{text} names no path: hdfs:///PATH, or hdfs://HOST:PORT/PATH")
    return Location(scheme, authority, path or "/", text[: match.end()], _means_directory(path))


def _means_directory(path: str) -> bool:
    return len(path) > 1 and path.endswith(("/", "/."))


def absolute(path: str, home: str) -> str:
    """The one spelling of a cluster's path; a relative one begins at `home`."""
    return posixpath.normpath(
        "/" + (path if path.startswith("/") else f"{home}/{path}").lstrip("/")
    )


def endpoints(addresses: str) -> frozenset[tuple[str, int]]:
    """Where HOST[:PORT][,…] leads: two spellings of one namenode have one in common."""
    found: set[tuple[str, int]] = set()
    for address in addresses.split(","):
        host, _, port = with_port(address).rpartition(":")
        try:
            ips = {
                str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            }
        except OSError:
            ips = {host}
        found |= {(ip, int(port)) for ip in ips}
    return frozenset(found)
