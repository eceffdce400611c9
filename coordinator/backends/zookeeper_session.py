"""A thin typed face of kazoo: the only file that imports it.

What kazoo does by default and this file does not allow: a plain `get` while disconnected blocks for
ever (every call here is asynchronous with a timeout); a failed transaction returns its errors as
list items (they are looked at); a call from a state listener deadlocks (the listener only puts a
token on a queue, one thread of ours acts on it); the negotiated timeout is thrown away (it is kept:
leases count on it); `stop` can hang (it gets a deadline). Lock, Election and Lease of kazoo are not
used at all.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kazoo import exceptions as zk
from kazoo.client import KazooClient
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.serialization import Connect
from kazoo.security import make_digest_acl

from clusterkit import errors

logging.getLogger("kazoo").addHandler(
    logging.NullHandler()
)  # a command without logging set up prints none of it
log = logging.getLogger(__name__)

CALL_TIMEOUT_S = 5.0
STOP_DEADLINE_S = 2.0
_LOST_CONTACT = (
    zk.ConnectionLoss,
    zk.SessionExpiredError,
    zk.ConnectionClosedError,
    zk.SessionMovedError,
    zk.OperationTimeoutError,
)


class Node(NamedTuple):
    data: bytes
    version: int
    owner: int
    """The session id of an ephemeral node, 0 of a lasting one."""


class Create(NamedTuple):
    path: str
    data: bytes
    ephemeral: bool = False


class Replace(NamedTuple):
    path: str
    data: bytes
    version: int


class Delete(NamedTuple):
    path: str
    version: int


class Check(NamedTuple):
    path: str
    version: int


Operation = Create | Replace | Delete | Check


class ZooKeeperSession:
    """One connection, which outlives its ZooKeeper sessions: `session_id` changes after an expiry,
    and `on_change` tells."""

    def __init__(
        self,
        hosts: str,
        timeout_s: float,
        patience_s: float,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        """Raises Unavailable naming the hosts when no ZooKeeper answers within `patience_s`."""
        self.hosts = hosts
        self._timeout_us = int(timeout_s * 1e6)
        self._states: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._listeners: list[Callable[[], None]] = []
        digest = [make_digest_acl(*credentials, all=True)] if credentials else None
        retry = {"max_tries": -1, "delay": 0.05, "backoff": 1.5, "max_delay": 0.5}
        self._client = KazooClient(
            hosts=hosts,
            timeout=timeout_s,
            connection_retry=retry,
            default_acl=digest,
            auth_data=[("digest", ":".join(credentials))] if credentials else None,
        )
        self._remember_negotiated_timeout()
        self._client.add_listener(self._states.put)
        try:
            self._client.start(timeout=patience_s)
        except Exception as error:  # kazoo raises its own, socket's and its handler's classes here
            self.stop()
            raise errors.Unavailable(
                f"no ZooKeeper answers at {hosts} ({str(error) or type(error).__name__})",
                next_command='start ZooKeeper there, or set cluster.coordinator = "embedded" on '
                "one machine",
            ) from error
        threading.Thread(target=self._tell, name="zookeeper-states", daemon=True).start()

    def _remember_negotiated_timeout(self) -> None:
        connection = self._client._connection
        invoke = connection._invoke

        def watched(timeout: float, request: Any, xid: Any = None) -> Any:
            result = invoke(timeout, request, xid)
            if isinstance(request, Connect) and result[0].time_out > 0:
                self._timeout_us = result[0].time_out * 1000
            return result

        connection._invoke = watched

    @property
    def session_id(self) -> int:
        return int(self._client.client_id[0]) if self._client.client_id else 0

    @property
    def timeout_us(self) -> int:
        """As the server granted it, which may be less than was asked for."""
        return self._timeout_us

    def on_change(self, listener: Callable[[], None]) -> None:
        """Calls it after every change of the connection's state, in a thread where calls of this
        session are allowed. Watches set before are gone by then: read again."""
        self._listeners.append(listener)

    def _tell(self) -> None:
        while (state := self._states.get()) is not None:
            log.info("ZooKeeper session 0x%x is %s", self.session_id, state)
            for listener in list(self._listeners):
                listener()

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────

    def get(self, path: str, wake: Callable[[Any], None] | None = None) -> Node | None:
        """`wake` is called once, at the node's next change or birth. A hint only: it is lost with
        the connection."""
        while True:
            try:
                return _node(self._result(self._client.get_async(path, watch=wake)))
            except zk.NoNodeError:
                if (
                    wake is None
                    or self._result(self._client.exists_async(path, watch=wake)) is None
                ):
                    return None

    def children(self, path: str, wake: Callable[[Any], None] | None = None) -> list[str]:
        try:
            return sorted(self._result(self._client.get_children_async(path, watch=wake)))
        except zk.NoNodeError:
            return []

    def create(self, path: str, data: bytes, *, ephemeral: bool = False) -> bool:
        """False when the node exists. Makes its parents."""
        try:
            self._result(self._client.create_async(path, data, ephemeral=ephemeral, makepath=True))
        except zk.NodeExistsError:
            return False
        return True

    def replace(self, path: str, data: bytes, version: int) -> int | None:
        """The node's new version, or None when it is not at `version` any more."""
        try:
            return int(self._result(self._client.set_async(path, data, version)).version)
        except (zk.BadVersionError, zk.NoNodeError):
            return None

    def delete(self, path: str, version: int) -> bool:
        try:
            self._result(self._client.delete_async(path, version))
        except (zk.BadVersionError, zk.NoNodeError):
            return False
        return True

    def transact(self, operations: Sequence[Operation], timeout_s: float = CALL_TIMEOUT_S) -> bool:
        """All or nothing, agreed by a quorum. False = nothing, because the world had changed.
        Raises Unavailable when the outcome is not known: read again."""
        transaction = self._client.transaction()
        for operation in operations:
            match operation:
                case Create(path, data, ephemeral):
                    transaction.create(path, data, ephemeral=ephemeral)
                case Replace(path, data, version):
                    transaction.set_data(path, data, version)
                case Delete(path, version):
                    transaction.delete(path, version)
                case Check(path, version):
                    transaction.check(path, version)
        results = self._result(transaction.commit_async(), timeout_s)
        failures = [result for result in results if isinstance(result, Exception)]
        for failure in failures:
            if isinstance(failure, zk.NoAuthError | zk.InvalidACLError):
                raise self._denied(failure)
        return not failures

    def _result(self, pending: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        try:
            return pending.get(timeout=timeout_s)
        except KazooTimeoutError:
            raise errors.TimedOut(
                f"ZooKeeper at {self.hosts} did not answer within {timeout_s:.3g} s"
            ) from None
        except _LOST_CONTACT as error:
            raise errors.Unavailable(
                f"lost contact with ZooKeeper at {self.hosts}: {type(error).__name__}"
            ) from error
        except (zk.NoAuthError, zk.AuthFailedError, zk.InvalidACLError) as error:
            raise self._denied(error) from error

    def _denied(self, error: Exception) -> errors.NotPermitted:
        return errors.NotPermitted(
            f"ZooKeeper at {self.hosts} refused: {type(error).__name__}",
            next_command="use zk://USER:PASSWORD@HOST:PORT/PATH",
        )

    def stop(self) -> None:
        """Ends the session in an orderly way: its ephemeral nodes go at once. Gives up waiting
        after a deadline."""
        self._states.put(None)

        def end() -> None:
            with contextlib.suppress(
                Exception
            ):  # the process is leaving: whatever kazoo says now, nobody can act on it
                self._client.stop()
                self._client.close()

        ending = threading.Thread(target=end, name="zookeeper-stop", daemon=True)
        ending.start()
        ending.join(STOP_DEADLINE_S)


def _node(answer: Any) -> Node:
    data, stat = answer
    return Node(data, stat.version, stat.ephemeralOwner)
