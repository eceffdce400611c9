"""The embedded coordinator's core.

* A session ends when it is not renewed for its timeout, when it is closed, or when its owner opens
  the next one; with it go its members and its leaderships. A pause of the coordinator itself is
  credited to every session: nobody could renew while it slept.
* Campaigns behind a leader, and watches of an unchanged version, park: they are answered when
  something changes or after a while.
* Durable are epochs with who led last, and settings. After a restart everybody is unknown: clients
  open new sessions, join again and claim what they led (leaders.py says when that is granted).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clusterkit.effects import Edit, Effects, Event, Instant, Send, Tick
from coordinator.core import events as ev
from coordinator.core.edits import LeaderElected, LeaderLeft, SettingStored
from coordinator.core.leaders import LeaderRow, Leaders
from coordinator.core.replies import (
    Done,
    Elected,
    LeaderIs,
    MemberRow,
    MembersAre,
    NotElected,
    Refused,
    SessionOpened,
    SessionRenewed,
    SettingIs,
    Stored,
)

SINGLE_WRITER_EPOCH = 1
"""Of the journal's records: the data directory's lock is what keeps a second coordinator out."""


@dataclass(frozen=True, slots=True)
class Options:
    min_session_timeout_us: int = 500_000
    max_session_timeout_us: int = 60_000_000
    presume_leader_us: int = 4_000_000
    """After a restart: how long a leader from before it may take to claim its place."""
    park_us: int = 4_000_000
    own_pause_us: int = 500_000
    """Waking this much later than asked for is a pause of this process."""


@dataclass(slots=True)
class Session:
    member_id: str
    timeout_us: int
    expires_us: int


@dataclass(slots=True)
class Membership:
    """One role's members: id → (session, row). The version starts above every version of an earlier
    life."""

    version: int
    rows: dict[str, tuple[str, MemberRow]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parked:
    request: Any
    until_us: int


class CoordinatorCore:
    def __init__(self, options: Options, started: Instant) -> None:
        self._options = options
        self._leaders = Leaders()
        self._settings: dict[str, SettingIs] = {}
        self._sessions: dict[str, Session] = {}
        self._members: dict[str, Membership] = {}
        self._parked: list[Parked] = []
        self._first_version = started.wall_us
        self._presume_until_us = started.mono_us + options.presume_leader_us
        self._promised_us: int | None = None
        self._txid = 0

    # ── the face of a core ────────────────────────────────────────────────────────────────────────

    def step(self, event: Event, now: Instant) -> Effects:
        effects = Effects()
        self._credit_own_pause(now.mono_us)
        if isinstance(event, ev.RenewSession) and event.session in self._sessions:
            self._extend(
                event.session, now.mono_us
            )  # before expiry: a renewal that arrived counts, however late it is looked at
        self._expire(effects, now)
        if not isinstance(event, Tick):
            self._handle(event, effects, now)
        self._wake(effects, now)
        self._promised_us = self.next_deadline()
        return effects

    def next_deadline(self) -> int | None:
        moments = [session.expires_us for session in self._sessions.values()]
        moments += [parked.until_us for parked in self._parked]
        if self._leaders.presumed():
            moments.append(self._presume_until_us)
        return min(moments, default=None)

    def apply(self, edit: Edit) -> None:
        op = edit.op
        if isinstance(op, SettingStored):
            self._settings[op.key] = SettingIs(op.value, op.version)
        else:
            self._leaders.apply(op)
        self._txid = edit.txid

    def check_invariants(self) -> None:
        for service, session in self._leaders.holders.items():
            assert session in self._sessions, f"{service} is held by a session that ended"
            assert self._leaders.rows[service].leading, f"{service} is held but vacant"
        for membership in self._members.values():
            assert all(session in self._sessions for session, _ in membership.rows.values()), (
                "a member outlived its session"
            )
        for parked in self._parked:
            assert (
                not isinstance(parked.request, ev.Campaign)
                or parked.request.session in self._sessions
            ), "a parked campaign is orphaned"

    # ── requests ──────────────────────────────────────────────────────────────────────────────────

    def _handle(self, event: Event, effects: Effects, now: Instant) -> None:
        if isinstance(event, ev.OpenSession):
            self._open(event, effects, now)
        elif isinstance(event, ev.AskLeader):
            effects.sends.append(Send(event.to, self._leader(event.service)))
        elif isinstance(event, ev.AskMembers | ev.AskSetting):
            self._parked.append(
                Parked(event, now.mono_us + self._options.park_us)
            )  # `_wake` answers what need not wait
        elif isinstance(event, ev.StoreSetting):
            self._store(event, effects, now)
        elif event.session not in self._sessions:
            effects.sends.append(
                Send(
                    event.to,
                    Refused("SESSION_LOST", "the coordinator does not know this session: it ended"),
                )
            )
        else:
            self._handle_of_session(event, effects, now)

    def _handle_of_session(self, event: Event, effects: Effects, now: Instant) -> None:
        reply: object = Done()
        if isinstance(event, ev.RenewSession):
            reply = SessionRenewed(self._leaders.held_by(event.session))
        elif isinstance(event, ev.CloseSession):
            self._end_session(event.session, effects, now)
        elif isinstance(event, ev.Resign):
            if self._leaders.holders.get(event.service) == event.session:
                self._vacate(event.service, effects, now)
        elif isinstance(event, ev.Join):
            self._join(event)
        elif isinstance(event, ev.Campaign):
            self._campaign(event, effects, now)
            return
        effects.sends.append(Send(event.to, reply))

    def _open(self, event: ev.OpenSession, effects: Effects, now: Instant) -> None:
        previous = self._sessions.get(event.previous)
        if previous is not None and previous.member_id == event.member_id:
            self._end_session(event.previous, effects, now)
        timeout_us = min(
            max(event.timeout_us, self._options.min_session_timeout_us),
            self._options.max_session_timeout_us,
        )
        self._sessions[event.session] = Session(
            event.member_id, timeout_us, now.mono_us + timeout_us
        )
        effects.sends.append(Send(event.to, SessionOpened(event.session, timeout_us)))

    def _join(self, event: ev.Join) -> None:
        row = MemberRow(event.role, event.id, event.address, event.capabilities)
        members = self._members_of(event.role)
        if members.rows.get(event.id) != (event.session, row):
            members.rows[event.id] = (event.session, row)
            members.version += 1

    def _campaign(self, event: ev.Campaign, effects: Effects, now: Instant) -> None:
        verdict = self._leaders.verdict(event)
        if verdict is not None:
            self._elect(event, verdict, effects, now)
        elif event.held_epoch:
            effects.sends.append(Send(event.to, self._not_elected(event.service)))
        else:
            for parked in [p for p in self._parked if _same_campaign(p.request, event)]:
                self._parked.remove(parked)  # its caller gave up waiting and asks again
                effects.sends.append(Send(parked.request.to, self._not_elected(event.service)))
            self._parked.append(Parked(event, now.mono_us + self._options.park_us))

    def _elect(
        self, event: ev.Campaign, verdict: LeaderElected, effects: Effects, now: Instant
    ) -> None:
        row = self._leaders.rows.get(verdict.service)
        if row != LeaderRow(
            verdict.epoch, verdict.id, verdict.address, verdict.place, leading=True
        ):
            self._edit(verdict, effects, now)
        self._leaders.holders[event.service] = event.session
        effects.sends.append(Send(event.to, Elected(verdict.epoch)))

    def _store(self, event: ev.StoreSetting, effects: Effects, now: Instant) -> None:
        have = self._setting(event.key).version
        if event.version is not None and event.version != have:
            cause = "it does not exist" if have == 0 else f"it is at version {have}"
            effects.sends.append(
                Send(
                    event.to,
                    Refused(
                        "CONFLICT",
                        f"setting {event.key} is not at version {event.version}: {cause}",
                    ),
                )
            )
            return
        self._edit(SettingStored(event.key, event.value, have + 1), effects, now)
        effects.sends.append(Send(event.to, Stored(have + 1)))

    # ── endings ───────────────────────────────────────────────────────────────────────────────────

    def _extend(self, name: str, now_us: int) -> None:
        session = self._sessions[name]
        session.expires_us = now_us + session.timeout_us

    def _credit_own_pause(self, now_us: int) -> None:
        if self._promised_us is None or now_us - self._promised_us < self._options.own_pause_us:
            return
        for name in self._sessions:
            self._extend(name, now_us)  # its renewals may still wait in the inbox or on the wire
        self._presume_until_us += now_us - self._promised_us

    def _expire(self, effects: Effects, now: Instant) -> None:
        for name in [
            name for name, session in self._sessions.items() if session.expires_us <= now.mono_us
        ]:
            self._end_session(name, effects, now)
        if self._presume_until_us <= now.mono_us:
            for service in self._leaders.presumed():
                self._vacate(service, effects, now)

    def _end_session(self, name: str, effects: Effects, now: Instant) -> None:
        for service, _ in self._leaders.held_by(name):
            self._vacate(service, effects, now)
        for members in self._members.values():
            gone = [id_ for id_, (session, _) in members.rows.items() if session == name]
            for id_ in gone:
                del members.rows[id_]
            members.version += bool(gone)
        for parked in [p for p in self._parked if getattr(p.request, "session", None) == name]:
            self._parked.remove(parked)
            effects.sends.append(
                Send(
                    parked.request.to,
                    Refused("SESSION_LOST", "the session ended while it campaigned"),
                )
            )
        del self._sessions[name]

    def _vacate(self, service: str, effects: Effects, now: Instant) -> None:
        self._edit(LeaderLeft(service, self._leaders.rows[service].epoch), effects, now)
        self._leaders.holders.pop(service, None)

    # ── parked requests ───────────────────────────────────────────────────────────────────────────

    def _wake(self, effects: Effects, now: Instant) -> None:
        still: list[Parked] = []
        for parked in self._parked:
            request, late = parked.request, parked.until_us <= now.mono_us
            if isinstance(request, ev.Campaign):
                verdict = self._leaders.verdict(request)
                if verdict is not None:
                    self._elect(request, verdict, effects, now)
                elif late:
                    effects.sends.append(Send(request.to, self._not_elected(request.service)))
                else:
                    still.append(parked)
                continue
            reply, changed = self._watched(request)
            if changed or late:
                effects.sends.append(Send(request.to, reply))
            else:
                still.append(parked)
        self._parked = still

    def _watched(
        self, request: ev.AskMembers | ev.AskSetting
    ) -> tuple[MembersAre | SettingIs, bool]:
        if isinstance(request, ev.AskSetting):
            setting = self._setting(request.key)
            return setting, request.seen != setting.version + 1
        members = self._members_of(request.role)
        rows = tuple(members.rows[id_][1] for id_ in sorted(members.rows))
        return MembersAre(members.version, rows), request.seen_version != members.version

    # ── lookups ───────────────────────────────────────────────────────────────────────────────────

    def _members_of(self, role: str) -> Membership:
        return self._members.setdefault(role, Membership(self._first_version))

    def _setting(self, key: str) -> SettingIs:
        return self._settings.get(key, SettingIs(None, 0))

    def _leader(self, service: str) -> LeaderIs:
        row = self._leaders.rows.get(service)
        if row is None or not row.leading:
            return LeaderIs(False, epoch=row.epoch if row is not None else 0)
        return LeaderIs(True, row.id, row.address, row.epoch)

    def _not_elected(self, service: str) -> NotElected:
        row = self._leaders.rows.get(service)
        return (
            NotElected(row.id, row.address)
            if row is not None and row.leading
            else NotElected("", "")
        )

    def _edit(
        self, op: LeaderElected | LeaderLeft | SettingStored, effects: Effects, now: Instant
    ) -> None:
        edit = Edit(self._txid + 1, SINGLE_WRITER_EPOCH, now.wall_us, op)
        self.apply(edit)
        effects.journal.append(edit)


def _same_campaign(parked: Any, event: ev.Campaign) -> bool:
    return isinstance(parked, ev.Campaign) and (parked.session, parked.service) == (
        event.session,
        event.service,
    )
