"""How a cluster is found, by daemons, by `mrc` and by programs alike: `find_leaders` from a home or
from MRC_CLUSTER, and `connect`, a coordinator from its URL: `home:///DIR` (files of a home) or
`zk://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]/PATH`. Imports only what it needs."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from clusterkit.config import is_loopback
from clusterkit.errors import UsageError
from coordinator.api import Coordinator
from coordinator.errors import masked
from coordinator.home import Home
from coordinator.leaders import CoordinatorLeaders, HomeLeaders, Leaders

PATIENCE_S = 10.0
SESSION_TIMEOUT_S = 6.0
"""Of who only looks: a command, a program that uses the cluster."""
LOOKS_ONLY = "private-network"
"""As what such a one connects: it makes no nodes there that a stranger could change."""


def find_leaders(home: str | Path | None = None, cluster: str | None = None) -> Leaders:
    """Those of a cluster of several machines, when `cluster` or else MRC_CLUSTER names one (zk://…),
    and of a home otherwise: `home`, else MRC_HOME, else the user's own. Raises UsageError for a URL
    that is none; for long use, asked again it finds a leader that moved."""
    named = cluster or (os.environ.get("MRC_CLUSTER") if home is None else None) or ""
    if not named:
        return HomeLeaders(Home.named(str(home) if home is not None else None))
    check_cluster(named)
    return _leaders_of(named)


def check_cluster(url: str) -> str:
    """Returns what names a cluster of several machines; raises UsageError for what names none, with
    what to say instead."""
    if not url.startswith("zk://"):
        raise UsageError(
            f"{masked(url)!r} names no cluster of several machines: zk://HOST:PORT/PATH; a cluster "
            "of one machine is its home",
            next_command="export MRC_HOME=DIR, or mrc --home DIR status; without MRC_CLUSTER",
        )
    return url


@cache
def _leaders_of(cluster: str) -> Leaders:
    """Connected once in a process."""
    return CoordinatorLeaders(
        lambda: connect(cluster, f"mrc-{os.getpid()}", SESSION_TIMEOUT_S, security_mode=LOOKS_ONLY),
        masked(cluster),
    )


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
    `security_mode` says that the network is private; Unavailable when no ZooKeeper answers within
    `patience_s`. Files of a home are always there: what is wrong with them is said when they are
    read or changed, and the session lives as long as this process, whatever its timeout."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "home" and rest.startswith("/"):
        from coordinator.backends.home import HomeCoordinator

        return HomeCoordinator(Path(rest), member_id)
    if scheme == "embedded":
        raise UsageError(
            f"coordinator URL {masked(url)}: the coordinator of one machine is files of its home "
            "and listens nowhere",
            next_command="export MRC_HOME=DIR, or mrc --home DIR status",
        )
    if separator and scheme == "zk":
        from coordinator.backends.zookeeper import ZooKeeperCoordinator

        place, slash, path = rest.partition("/")
        user_password, at, hosts = place.rpartition("@")
        user, colon, password = user_password.partition(":")
        if at and not (user and colon):
            raise UsageError(f"coordinator URL {masked(url)}: before @ stands USER:PASSWORD")
        root = "/" + path.strip("/") if slash and path.strip("/") else ""
        if "//" in root or any(part in (".", "..") for part in root.split("/")):
            raise UsageError(
                f"coordinator URL {masked(url)}: its path is none that ZooKeeper can hold"
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
        f"coordinator URL {masked(url)!r} is neither home:///DIR nor zk://HOST:PORT/PATH",
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
        raise UsageError(f"coordinator URL {masked(url)}: {text!r} is not HOST:PORT")
    return f"{host}:{port}"
