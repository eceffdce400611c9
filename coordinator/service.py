"""The embedded coordinator's shell: gRPC in front, the driver's loop in one thread, a journal
behind. Not highly available, by design.

Each handler posts one event and waits for its reply; campaigns and watches park inside the core,
each holding one thread of the pool, so the pool is wide (idle threads cost little). `wait` raises
what ended the loop.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusterkit import errors
from clusterkit.clock import Clock, SystemClock
from clusterkit.codec import Codec
from clusterkit.driver import Driver
from clusterkit.effects import Edit, Event, Send
from clusterkit.journal import Journal
from clusterkit.rpc import make_server
from coordinator.core import events as ev
from coordinator.core import replies
from coordinator.core.coordinator import CoordinatorCore, Options
from coordinator.core.edits import EDITS
from coordinator.errors import Conflict, SessionLost, check_epoch, check_name, check_value
from coordinator.pb import coordinator_pb2 as pb
from coordinator.pb import coordinator_pb2_grpc

REPLY_TIMEOUT_S = 10.0
"""Longer than the core parks anything, and than any fsync of a journal that will still be
trusted."""


def edit_codec() -> Codec:
    return Codec([Edit, *EDITS])


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    host: str = "127.0.0.1"
    port: int = 0
    threads: int = 64
    """One for each parked campaign or watch of each daemon, and a few for calls that answer at
    once."""
    core: Options = field(default_factory=Options)


class Waiter:
    """The reply token of one call."""

    __slots__ = ("_done", "_message")

    def __init__(self) -> None:
        self._done, self._message = threading.Event(), None

    def answer(self, message: Any) -> None:
        self._message = message
        self._done.set()

    def wait(self) -> Any:
        if not self._done.wait(REPLY_TIMEOUT_S):
            raise errors.TimedOut(
                f"the coordinator's journal did not take an edit within {REPLY_TIMEOUT_S:g} s"
            )
        return self._message


class CoordinatorService:
    """Owns the journal from now on; its directory's lock is the root's to hold."""

    def __init__(
        self, journal: Journal, options: ServiceOptions | None = None, clock: Clock | None = None
    ) -> None:
        self._options, self._clock = options or ServiceOptions(), clock or SystemClock()
        self._journal = journal
        self._core = CoordinatorCore(self._options.core, self._clock.now())
        self._driver = Driver(self._core, journal, edit_codec(), _deliver, self._clock)
        self._server = make_server(
            self._options.host,
            self._options.port,
            threads=self._options.threads,
            name="coordinator",
        )
        self._loop = threading.Thread(target=self._run, name="coordinator-loop", daemon=True)
        self._open: set[Waiter] = set()
        self._open_lock = threading.Lock()
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._stopping = False

    @property
    def address(self) -> str:
        return self._server.address

    @property
    def ports(self) -> Mapping[str, int]:
        return {"rpc": self._server.port}

    def start(self) -> None:
        count = self._driver.replay()
        logging.getLogger(__name__).info("replayed %d edits", count)
        self._server.add(
            coordinator_pb2_grpc.add_CoordinatorServicer_to_server, _Servicer(self._ask)
        )
        self._server.start()
        self._loop.start()

    def wait(self) -> None:
        self._ended.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Orderly: what is parked is told to try again, edits under way become durable."""
        self._stopping = True
        self._driver.stop()
        if self._loop.ident is not None:
            self._loop.join(5.0)
        self._release_waiters()
        self._server.stop()
        self._journal.close()
        self._ended.set()

    def _run(self) -> None:
        try:
            self._driver.run()
        except (
            BaseException
        ) as error:  # whatever ended the loop ends the process: `wait` raises it in the main thread
            self._failure = error
            self._stopping = True
            self._release_waiters()
            self._ended.set()

    def _ask(self, make_event: Callable[[Waiter], Event]) -> Any:
        """The core's reply, or the error it refused with."""
        waiter = Waiter()
        with self._open_lock:
            if self._stopping:
                raise errors.Unavailable("the coordinator is stopping")
            self._open.add(waiter)
        self._driver.post(make_event(waiter))
        try:
            message = waiter.wait()
        finally:
            with self._open_lock:
                self._open.discard(waiter)
        if message is None:
            raise errors.Unavailable("the coordinator is stopping")
        if isinstance(message, replies.Refused):
            raise {"CONFLICT": Conflict, "SESSION_LOST": SessionLost}[message.code](message.message)
        return message

    def _release_waiters(self) -> None:
        with self._open_lock:
            for waiter in self._open:
                waiter.answer(None)


def _deliver(send: Send) -> None:
    send.to.answer(send.message)


class _Servicer(coordinator_pb2_grpc.CoordinatorServicer):
    """Messages to events and back; nothing else."""

    def __init__(self, ask: Callable[[Callable[[Waiter], Event]], Any]) -> None:
        self._ask = ask

    def OpenSession(self, request: pb.OpenSessionRequest, _context: Any) -> pb.OpenSessionReply:
        check_name("member", request.member_id)
        name, timeout_us = secrets.token_hex(16), request.timeout_ms * 1000
        reply = self._ask(
            lambda to: ev.OpenSession(
                to, name, request.member_id, timeout_us, request.previous_session
            )
        )
        return pb.OpenSessionReply(session=reply.session, timeout_ms=reply.timeout_us // 1000)

    def Renew(self, request: pb.RenewRequest, _context: Any) -> pb.RenewReply:
        reply = self._ask(lambda to: ev.RenewSession(to, request.session))
        return pb.RenewReply(
            held=[pb.Held(service=service, epoch=epoch) for service, epoch in reply.held]
        )

    def Close(self, request: pb.CloseRequest, _context: Any) -> pb.CloseReply:
        with contextlib.suppress(SessionLost):  # it has ended already
            self._ask(lambda to: ev.CloseSession(to, request.session))
        return pb.CloseReply()

    def Campaign(self, request: pb.CampaignRequest, _context: Any) -> pb.CampaignReply:
        check_name("service", request.service)
        check_name("candidate", request.candidate.id)
        check_epoch(max(request.at_least_epoch, request.held_epoch))
        wish, numbers = request.candidate, (request.at_least_epoch, request.held_epoch)
        reply = self._ask(
            lambda to: ev.Campaign(
                to, request.session, request.service, wish.id, wish.address, *numbers, wish.place
            )
        )
        if isinstance(reply, replies.Elected):
            return pb.CampaignReply(elected=True, epoch=reply.epoch, leader=wish)
        return pb.CampaignReply(
            elected=False, leader=pb.Candidate(id=reply.leader_id, address=reply.leader_address)
        )

    def Leader(self, request: pb.LeaderRequest, _context: Any) -> pb.LeaderReply:
        reply = self._ask(lambda to: ev.AskLeader(to, request.service))
        return pb.LeaderReply(
            known=reply.known,
            leader=pb.Candidate(id=reply.id, address=reply.address),
            epoch=reply.epoch,
        )

    def Resign(self, request: pb.ResignRequest, _context: Any) -> pb.ResignReply:
        self._ask(lambda to: ev.Resign(to, request.session, request.service))
        return pb.ResignReply()

    def Join(self, request: pb.JoinRequest, _context: Any) -> pb.JoinReply:
        member = request.member
        check_name("role", member.role)
        check_name("member", member.id)
        capabilities = tuple(sorted(member.capabilities.items()))
        self._ask(
            lambda to: ev.Join(
                to, request.session, member.role, member.id, member.address, capabilities
            )
        )
        return pb.JoinReply()

    def Members(self, request: pb.MembersRequest, _context: Any) -> pb.MembersReply:
        reply = self._ask(lambda to: ev.AskMembers(to, request.role, request.seen_version))
        rows = [
            pb.Member(
                role=row.role, id=row.id, address=row.address, capabilities=dict(row.capabilities)
            )
            for row in reply.members
        ]
        return pb.MembersReply(version=reply.version, members=rows)

    def Get(self, request: pb.GetRequest, _context: Any) -> pb.GetReply:
        reply = self._ask(lambda to: ev.AskSetting(to, request.key, request.seen))
        return pb.GetReply(
            exists=reply.value is not None, value=reply.value or b"", version=reply.version
        )

    def Set(self, request: pb.SetRequest, _context: Any) -> pb.SetReply:
        check_name("key", request.key)
        check_value(request.key, request.value)
        version = None if request.any_version else request.version
        reply = self._ask(lambda to: ev.StoreSetting(to, request.key, request.value, version))
        return pb.SetReply(version=reply.version)
