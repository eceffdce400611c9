"""Listening on an address of either family, and why a port could not be bound, in one line: used by
every server, gRPC or not."""

from __future__ import annotations

import errno
import socket

from clusterkit.errors import ClusterError, PortInUse


def listen(host: str, port: int, backlog: int = 128) -> socket.socket:
    """A TCP listener on an address or name of either family; "" is everywhere. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    dual = host in ("", "::") and socket.has_dualstack_ipv6()
    if host == "" and dual:
        family, address = socket.AF_INET6, ("::", port)
    return socket.create_server(
        address[:2],
        family=family,
        backlog=backlog,
        dualstack_ipv6=dual and family == socket.AF_INET6,
    )


def format_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def own_address(ipv6: bool) -> str:
    """Under which address others find this machine, as far as its own name tells; of either family
    when it has none of the wished one."""
    found = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    found.sort(key=lambda info: (info[0] == socket.AF_INET6) is not ipv6)
    return str(found[0][4][0])


def bind_refusal(host: str, port: int, cause: OSError | None = None) -> ClusterError:
    """The error to raise after binding host:port failed. Without a `cause` the bind is tried once
    more, by a plain socket, to learn it."""
    cause = cause or _try_bind(host, port)
    if cause is None or cause.errno == errno.EADDRINUSE:
        holder = _holder(port)
        by = f" by {holder}" if holder else ""
        return PortInUse(
            f"port {port} on {host} is in use{by}", next_command=f"ss -ltnp 'sport = :{port}'"
        )
    if cause.errno in (errno.EACCES, errno.EPERM):
        return ClusterError(
            f"port {port} on {host} needs privileges this process does not have",
            next_command="use a port above 1023",
        )
    if cause.errno == errno.EADDRNOTAVAIL or isinstance(cause, socket.gaierror):
        return ClusterError(
            f"cannot listen on {host}: it is not an address of this machine",
            next_command="ip -brief address",
        )
    return ClusterError(f"cannot listen on {host}:{port}: {cause.strerror or cause}")


def _try_bind(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None


def _holder(port: int) -> str:
    """`pid 17 (name)` of the listener, or "" where this user may not know."""
    import psutil  # every client of gRPC loads this module, only a refused server needs the library

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr[1] == port
                and connection.pid
            ):
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return ""
