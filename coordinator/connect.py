"""A coordinator from its URL: `embedded://HOST:PORT` or
`zk://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]/PATH`. Imports only what it needs."""

from __future__ import annotations

from urllib.parse import unquote

from clusterkit.config import is_loopback
from clusterkit.errors import UsageError
from coordinator.api import Coordinator

PATIENCE_S = 10.0


def connect(
    url: str,
    member_id: str,
    session_timeout_s: float,
    *,
    patience_s: float = PATIENCE_S,
    security_mode: str = "loopback",
) -> Coordinator:
    """`member_id` names this process in the coordinator's sessions. Raises UsageError for a URL
    that is none, and for a ZooKeeper beyond this machine that anybody may write to, unless
    `security_mode` says that the network is private; Unavailable when nobody answers within
    `patience_s` (0 with `embedded`: when nobody listens there now)."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "embedded":
        from coordinator.backends.embedded import EmbeddedCoordinator

        return EmbeddedCoordinator(_host_port(url, rest), member_id, session_timeout_s, patience_s)
    if separator and scheme == "zk":
        from coordinator.backends.zookeeper import ZooKeeperCoordinator

        place, slash, path = rest.partition("/")
        user_password, at, hosts = place.rpartition("@")
        user, colon, password = user_password.partition(":")
        if at and not (user and colon):
            raise UsageError(f"coordinator URL {_masked(url)}: before @ stands USER:PASSWORD")
        root = "/" + path.strip("/") if slash and path.strip("/") else ""
        if "//" in root or any(part in (".", "..") for part in root.split("/")):
            raise UsageError(
                f"coordinator URL {_masked(url)}: its path is none that ZooKeeper can hold"
            )
        servers = ",".join(_host_port(url, server) for server in hosts.split(","))
        if not at and security_mode != "private-network":
            _check_nobody_else_writes(url, servers)
        return ZooKeeperCoordinator(
            servers,
            root,
            session_timeout_s,
            patience_s,
            (unquote(user), unquote(password)) if at else None,
        )
    raise UsageError(
        f"coordinator URL {_masked(url)!r} is neither embedded://HOST:PORT nor zk://HOST:PORT/PATH",
        next_command="mrc config",
    )


def _check_nobody_else_writes(url: str, servers: str) -> None:
    """Without USER:PASSWORD every node that is made there may be changed by everybody: who leads,
    which epoch is next."""
    strangers = [
        server
        for server in servers.split(",")
        if not is_loopback(server.rpartition(":")[0].strip("[]"))
    ]
    if strangers:
        raise UsageError(
            f"coordinator URL {url}: without USER:PASSWORD@ anybody who reaches {strangers[0]} "
            "can take this cluster's leadership away",
            next_command="use zk://USER:PASSWORD@HOST:PORT/PATH, or set security.mode = "
            '"private-network" where no stranger reaches it',
        )


def _host_port(url: str, text: str) -> str:
    host, colon, port = text.strip("/").rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"coordinator URL {_masked(url)}: {text!r} is not HOST:PORT")
    return f"{host}:{port}"


def _masked(url: str) -> str:
    """Without its password: URLs end up on screens and in logs."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{credentials.partition(':')[0]}:…@{place}" if at else url
