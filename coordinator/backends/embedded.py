"""Client of the embedded coordinator (coordinator/service.py).

A session is opened by the first `campaign` or `join`, so a command that only asks who leads leaves
no trace. One thread renews it. When the coordinator was restarted or the session expired, that
thread opens the next session, joins again and claims what this process led; only when the claim is
refused (somebody was handed a newer epoch) is a leadership lost. A leadership has no deadline:
nobody else can be elected without the coordinator's word, and the coordinator's absence must not
stop a cluster on one machine.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

from clusterkit import errors
from clusterkit.errors import ClusterError
from clusterkit.rpc import make_channel
from coordinator.api import Candidate, Leader, Member, Setting
from coordinator.errors import SessionLost, check_name, check_value
from coordinator.pb import coordinator_pb2 as pb
from coordinator.pb import coordinator_pb2_grpc

PARKED_CALL_TIMEOUT_S = 10.0
RETRY_S = 0.1
log = logging.getLogger(__name__)


class EmbeddedLeadership:
    def __init__(
        self,
        session: _Session,
        service: str,
        candidate: Candidate,
        epoch: int,
        on_lost: Callable[[], None],
    ) -> None:
        self.epoch = epoch
        self._session, self.service, self.candidate, self._on_lost = (
            session,
            service,
            candidate,
            on_lost,
        )

    def deadline_us(self) -> int | None:
        return None

    def resign(self) -> None:
        self._session.resign(self)

    def lost(self) -> None:
        log.warning("leadership of %s (epoch %d) is lost", self.service, self.epoch)
        self._on_lost()


class _Session:
    """The session, what hangs on it, and the thread that keeps it."""

    def __init__(self, stub: Any, member_id: str, timeout_s: float) -> None:
        self._stub, self._member_id, self._timeout_ms = (
            stub,
            check_name("member", member_id),
            int(timeout_s * 1000),
        )
        self._lock = threading.RLock()
        self._name = ""
        self._complete = True  # everything below is known to the coordinator under `_name`
        self._members: dict[tuple[str, str], Member] = {}
        self._led: dict[str, EmbeddedLeadership] = {}
        self.closed = threading.Event()
        self._renewer = threading.Thread(target=self._keep, name="coordinator-session", daemon=True)

    def name(self) -> str:
        with self._lock:
            if not self._name:
                self._open("")
            if self._renewer.ident is None:
                self._renewer.start()
            return self._name

    def _open(self, previous: str) -> None:
        request = pb.OpenSessionRequest(
            member_id=self._member_id, previous_session=previous, timeout_ms=self._timeout_ms
        )
        reply = self._stub.OpenSession(request)
        self._name, self._timeout_ms = reply.session, reply.timeout_ms

    def campaign(
        self, service: str, candidate: Candidate, at_least_epoch: int, on_lost: Callable[[], None]
    ) -> EmbeddedLeadership:
        wish = pb.Candidate(id=candidate.id, address=candidate.address, place=candidate.place)
        while not self.closed.is_set():
            try:
                session = self.name()
                request = pb.CampaignRequest(
                    session=session, service=service, candidate=wish, at_least_epoch=at_least_epoch
                )
                reply = self._stub.Campaign(request, timeout=PARKED_CALL_TIMEOUT_S)
            except ClusterError as error:
                if not error.retryable:
                    raise
                log.info("campaign for %s goes on: %s", service, error)
                if isinstance(error, SessionLost):
                    self._recover(session)
                self.closed.wait(RETRY_S)
                continue
            with self._lock:
                if reply.elected and self._name == session:
                    leadership = EmbeddedLeadership(self, service, candidate, reply.epoch, on_lost)
                    self._led[service] = leadership
                    return leadership
        raise errors.Cancelled(
            f"the campaign for {service} ended: this session with the coordinator was closed"
        )

    def resign(self, leadership: EmbeddedLeadership) -> None:
        with self._lock:
            if self._led.get(leadership.service) is not leadership:
                return
            del self._led[leadership.service]
            session = self._name
        with contextlib.suppress(SessionLost):
            self._stub.Resign(pb.ResignRequest(session=session, service=leadership.service))

    def join(self, member: Member) -> None:
        with self._lock:
            self._members[member.role, member.id] = member
        session = self.name()
        try:
            self._announce(session, member)
        except SessionLost:
            self._recover(session)

    def _announce(self, session: str, member: Member) -> None:
        row = pb.Member(
            role=member.role,
            id=member.id,
            address=member.address,
            capabilities=dict(member.capabilities),
        )
        self._stub.Join(pb.JoinRequest(session=session, member=row))

    def _keep(self) -> None:
        """Renews three times per timeout until closed."""
        while not self.closed.wait(self._timeout_ms / 3000):
            if not self._complete:
                self._restore("")
                continue
            with self._lock:
                session, led_before = (
                    self._name,
                    dict(self._led),
                )  # what is won while the renewal is under way is not in its reply
            try:
                held = {
                    row.service: row.epoch
                    for row in self._stub.Renew(pb.RenewRequest(session=session)).held
                }
            except SessionLost:
                self._recover(session)
            except ClusterError as error:
                if not self.closed.is_set():
                    log.warning("session is not renewed: %s", error)
            else:
                if session == self._name:
                    self._drop(
                        [
                            led
                            for service, led in led_before.items()
                            if held.get(service) != led.epoch
                        ]
                    )

    def _recover(self, ended: str) -> None:
        """Whoever notices first that the session ended replaces it; a failure leaves it to the
        renewing thread."""
        with self._lock:
            if self._name == ended:
                log.warning("session with the coordinator was lost; opening another")
                self._name, self._complete = "", False
        self._restore(ended)

    def _restore(self, previous: str) -> None:
        """Takes members and leaderships over into a new session."""
        lost: list[EmbeddedLeadership] = []
        with self._lock:
            if self._complete or self.closed.is_set():
                return
            try:
                if not self._name:
                    self._open(previous)
                for member in self._members.values():
                    self._announce(self._name, member)
                lost.extend(led for led in self._led.values() if not self._claim(led))
                self._complete = True
            except ClusterError as error:
                if isinstance(error, SessionLost):
                    self._name = ""
                log.warning("the new session is not complete yet: %s", error)
        self._drop(lost)

    def _claim(self, led: EmbeddedLeadership) -> bool:
        wish = pb.Candidate(
            id=led.candidate.id, address=led.candidate.address, place=led.candidate.place
        )
        request = pb.CampaignRequest(
            session=self._name, service=led.service, candidate=wish, held_epoch=led.epoch
        )
        reply = self._stub.Campaign(request)
        return bool(reply.elected and reply.epoch == led.epoch)

    def _drop(self, lost: list[EmbeddedLeadership]) -> None:
        for led in lost:
            with self._lock:
                if self._led.get(led.service) is not led:
                    continue  # resigned, or elected again meanwhile
                del self._led[led.service]
            led.lost()

    def close(self) -> None:
        self.closed.set()
        if self._name:
            with contextlib.suppress(ClusterError):
                self._stub.Close(
                    pb.CloseRequest(session=self._name), timeout=1.0, wait_for_ready=False
                )


class EmbeddedElection:
    def __init__(self, stub: Any, session: _Session) -> None:
        self._stub, self._session = stub, session

    def campaign(
        self,
        service: str,
        candidate: Candidate,
        *,
        at_least_epoch: int = 0,
        on_lost: Callable[[], None],
        alive: Callable[[], bool] = lambda: True,
    ) -> EmbeddedLeadership:
        check_name("service", service)
        return self._session.campaign(service, candidate, at_least_epoch, on_lost)

    def leader(self, service: str) -> Leader | None:
        reply = self._stub.Leader(pb.LeaderRequest(service=service))
        return Leader(reply.leader.id, reply.leader.address, reply.epoch) if reply.known else None

    def highest_epoch(self, service: str) -> int:
        return int(self._stub.Leader(pb.LeaderRequest(service=service)).epoch)


class EmbeddedMembership:
    def __init__(self, stub: Any, session: _Session) -> None:
        self._stub, self._session = stub, session

    def join(self, member: Member) -> None:
        self._session.join(member)

    def members(self, role: str) -> list[Member]:
        return _members(self._stub.Members(pb.MembersRequest(role=role)))

    def watch(self, role: str, changed: Callable[[list[Member]], None]) -> None:
        seen: list[list[Member]] = []

        def look(version: int) -> int:
            reply = self._stub.Members(
                pb.MembersRequest(role=role, seen_version=version), timeout=PARKED_CALL_TIMEOUT_S
            )
            members = _members(reply)
            if seen != [members]:
                seen[:] = [members]
                changed(members)
            return int(reply.version)

        _follow(look, self._session.closed, f"members of {role}")


class EmbeddedConfigStore:
    def __init__(self, stub: Any, closed: threading.Event) -> None:
        self._stub, self._closed = stub, closed

    def get(self, key: str) -> Setting | None:
        reply = self._stub.Get(pb.GetRequest(key=check_name("key", key)))
        return Setting(reply.value, reply.version) if reply.exists else None

    def set(self, key: str, value: bytes, *, version: int | None = None) -> int:
        check_value(check_name("key", key), value)
        return int(
            self._stub.Set(
                pb.SetRequest(
                    key=key, value=value, version=version or 0, any_version=version is None
                )
            ).version
        )

    def watch(self, key: str, changed: Callable[[Setting | None], None]) -> None:
        seen: list[Setting | None] = []

        def look(known: int) -> int:
            reply = self._stub.Get(
                pb.GetRequest(key=key, seen=known), timeout=PARKED_CALL_TIMEOUT_S
            )
            setting = Setting(reply.value, reply.version) if reply.exists else None
            if seen != [setting]:
                seen[:] = [setting]
                changed(setting)
            return int(reply.version) + 1

        _follow(look, self._closed, f"setting {key}")


class EmbeddedCoordinator:
    def __init__(
        self, address: str, member_id: str, session_timeout_s: float, patience_s: float
    ) -> None:
        """Raises Unavailable when nobody answers at the address for `patience_s`."""
        self._channel = make_channel(address, wait_for_ready=patience_s > 0)
        stub = coordinator_pb2_grpc.CoordinatorStub(self._channel)  # type: ignore[no-untyped-call]
        try:
            stub.Leader(pb.LeaderRequest(service="namenode"), timeout=patience_s or 5.0)
        except errors.Unavailable as error:
            self._channel.close()
            raise errors.Unavailable(
                f"no coordinator answers at {address}", next_command="mrc up"
            ) from error
        self._session = _Session(stub, member_id, session_timeout_s)
        self.election = EmbeddedElection(stub, self._session)
        self.membership = EmbeddedMembership(stub, self._session)
        self.config = EmbeddedConfigStore(stub, self._session.closed)

    def close(self) -> None:
        self._session.close()
        self._channel.close()


def _members(reply: pb.MembersReply) -> list[Member]:
    return [Member(row.role, row.id, row.address, dict(row.capabilities)) for row in reply.members]


def _follow(look: Callable[[int], int], closed: threading.Event, what: str) -> None:
    """A thread of its own asks again and again, naming what it knows; the coordinator answers when
    that is no longer true."""

    def run() -> None:
        known = 0
        while not closed.is_set():
            try:
                known = look(known)
            except ClusterError as error:
                if not closed.is_set():
                    log.info("watch of %s goes on: %s", what, error)
                closed.wait(RETRY_S)

    threading.Thread(target=run, name=f"watch {what}", daemon=True).start()
