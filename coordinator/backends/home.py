"""The coordinator of one machine: files of its home (home_state.py), no process of its own.

A session is opened by the first `campaign` or `join`, so a command that only asks leaves no trace.
It lives as long as its process, and what belongs to a dead one counts for nothing at once. A
leadership has no deadline: nobody else can be elected while its process lives, but the same
candidate from the same place, whose data directory's lock proves the older one dead. Changes are
noticed by looking, every LOOK_S.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from clusterkit import errors
from clusterkit.errors import ClusterError
from coordinator.api import Candidate, Leader, Member, Setting
from coordinator.backends.home_state import HomeFiles, LeaderRow, MemberRow, SettingRow, State
from coordinator.errors import Conflict, check_epoch, check_name, check_value, masked

LOOK_S = 0.02
KEEP_S = 0.05
"""How often a session looks whether it still leads what it led."""
SWEPT_S = 0.5
"""What somebody deleted is made again only after so long: they may be deleting the whole home, and
`rm -r` fails where something new appears in it."""
T = TypeVar("T")
log = logging.getLogger(__name__)


class HomeLeadership:
    def __init__(
        self, session: _Session, service: str, epoch: int, on_lost: Callable[[], None]
    ) -> None:
        self.epoch, self.service = epoch, service
        self._session, self._on_lost, self._is_lost = session, on_lost, False

    def deadline_us(self) -> int | None:
        return 0 if self._is_lost else None

    def resign(self) -> None:
        self._session.resign(self)

    def lost(self) -> None:
        log.warning("leadership of %s (epoch %d) is lost", self.service, self.epoch)
        self._is_lost = True
        self._on_lost()


class _Session:
    """What this process holds, what hangs on it, and the thread that looks after both."""

    def __init__(self, files: HomeFiles, member_id: str) -> None:
        self.files, self._member_id = files, check_name("member", member_id)
        self.name = secrets.token_hex(8)
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._fd = -1
        self._led: dict[str, HomeLeadership] = {}
        self._members: dict[tuple[str, str], Member] = {}
        self._swept_looks = 0
        self._keeper = threading.Thread(target=self._keep, name="coordinator-session", daemon=True)

    def _open(self) -> None:
        """Under the home's lock."""
        with self._lock:
            if self.closed.is_set():
                raise errors.Cancelled("this session with the coordinator was closed")
            if self._fd < 0:
                self._fd = self.files.hold_session(self.name, self._member_id)
                self._keeper.start()

    def campaign(
        self, service: str, candidate: Candidate, at_least_epoch: int, on_lost: Callable[[], None]
    ) -> HomeLeadership:
        while not self.closed.is_set():
            if self._may_lead(self.files.read(), service, candidate):
                with self.files.changing() as state:
                    if self._may_lead(state, service, candidate):
                        self._open()
                        row = self._elect(state, service, candidate, at_least_epoch)
                        won = HomeLeadership(self, service, row.epoch, on_lost)
                    else:
                        continue
                return self._remember(won)
            self.closed.wait(LOOK_S)
        raise errors.Cancelled(
            f"the campaign for {service} ended: this session with the coordinator was closed"
        )

    def _may_lead(self, state: State, service: str, candidate: Candidate) -> bool:
        if state.moved:
            raise ClusterError(
                f"the cluster of {self.files.home} has moved to {masked(state.moved)}: nobody is "
                "elected here any more",
                next_command="export MRC_CLUSTER=URL",
            )
        row = state.leaders.get(service)
        if row is None or (row.id, row.place) == (candidate.id, candidate.place):
            return True
        return not self.files.is_alive(row.session)

    def _elect(
        self, state: State, service: str, candidate: Candidate, at_least_epoch: int
    ) -> LeaderRow:
        epoch = check_epoch(max(state.epochs.get(service, 0), at_least_epoch) + 1)
        state.epochs[service] = epoch
        row = LeaderRow(
            id=candidate.id,
            address=candidate.address,
            place=candidate.place,
            epoch=epoch,
            session=self.name,
        )
        state.leaders[service] = row
        return row

    def _remember(self, won: HomeLeadership) -> HomeLeadership:
        with self._lock:
            older = self._led.get(won.service)
            self._led[won.service] = won
        if older is not None:
            older.lost()
        return won

    def resign(self, led: HomeLeadership) -> None:
        with self._lock:
            if self._led.get(led.service) is not led:
                return
            del self._led[led.service]
            if not self.files.holds(self.name, self._fd):
                return  # whose session's file is gone leads nothing, and the home may be going
        try:
            with self.files.changing() as state:
                if self._is_mine(state, led):
                    del state.leaders[led.service]
        except ClusterError as error:
            log.warning("%s is given up by the end of this process only: %s", led.service, error)

    def join(self, member: Member) -> None:
        with self.files.changing() as state:
            self._open()
            self._announce(state, member)
        with self._lock:
            self._members[member.role, member.id] = member

    def _announce(self, state: State, member: Member) -> None:
        state.members.setdefault(member.role, {})[member.id] = MemberRow(
            address=member.address, capabilities=dict(member.capabilities), session=self.name
        )

    def _is_mine(self, state: State, led: HomeLeadership) -> bool:
        row = state.leaders.get(led.service)
        return row is not None and (row.session, row.epoch) == (self.name, led.epoch)

    def _keep(self) -> None:
        said = ""
        while not self.closed.wait(KEEP_S):
            try:
                self._look()
                said = ""
            except (ClusterError, OSError) as error:
                if not self.closed.is_set() and said != str(error):
                    said = str(error)
                    log.warning("who leads cannot be read; who led goes on: %s", error)

    def _look(self) -> None:
        with self._lock:
            if self.closed.is_set():
                return
            led, members = list(self._led.values()), list(self._members.values())
            swept = not self.files.holds(self.name, self._fd)
        state = self.files.read()
        for one in led:
            if not self._is_mine(state, one):
                self._drop(one)
        gone = [m for m in members if m.id not in state.members.get(m.role, {})]
        self._swept_looks = self._swept_looks + 1 if swept or gone else 0
        if self._swept_looks * KEEP_S < SWEPT_S:
            return
        if swept:
            self._hold_again()
        if gone:  # swept away with the session's file, or with the state
            with self.files.changing() as state:
                for member in gone:
                    if member.id not in state.members.get(member.role, {}):
                        self._announce(state, member)

    def _hold_again(self) -> None:
        """Somebody has deleted the session's file: others take this process for dead. Where nobody
        has changed anything since, nothing has happened."""
        log.warning("the file of this session was deleted in %s: made again", self.files.home)
        with self.files.locked(), self._lock:
            if not self.closed.is_set():
                older, self._fd = self._fd, self.files.hold_session(self.name, self._member_id)
                self.files.let_go(self.name, older)

    def _drop(self, led: HomeLeadership) -> None:
        with self._lock:
            if self._led.get(led.service) is not led:
                return  # resigned, or elected again meanwhile
            del self._led[led.service]
        led.lost()

    def close(self) -> None:
        """What was this session's is nobody's from the moment that its file is let go."""
        with self._lock:
            self.closed.set()
            fd, self._fd = self._fd, -1
            if fd >= 0:
                self.files.let_go(self.name, fd)


class HomeElection:
    def __init__(self, files: HomeFiles, session: _Session) -> None:
        self._files, self._session = files, session

    def campaign(
        self,
        service: str,
        candidate: Candidate,
        *,
        at_least_epoch: int = 0,
        on_lost: Callable[[], None],
        alive: Callable[[], bool] = lambda: True,
    ) -> HomeLeadership:
        check_name("service", service)
        check_epoch(at_least_epoch)
        return self._session.campaign(service, candidate, at_least_epoch, on_lost)

    def leader(self, service: str) -> Leader | None:
        row = self._files.read().leaders.get(service)
        if row is None or not self._files.is_alive(row.session):
            return None
        return Leader(row.id, row.address, row.epoch)

    def highest_epoch(self, service: str) -> int:
        return self._files.read().epochs.get(service, 0)


class HomeMembership:
    def __init__(self, files: HomeFiles, session: _Session) -> None:
        self._files, self._session = files, session

    def join(self, member: Member) -> None:
        check_name("role", member.role)
        check_name("member", member.id)
        self._session.join(member)

    def members(self, role: str) -> list[Member]:
        rows = self._files.read().members.get(role, {})
        return [
            Member(role, id_, row.address, row.capabilities)
            for id_, row in sorted(rows.items())
            if self._files.is_alive(row.session)
        ]

    def watch(self, role: str, changed: Callable[[list[Member]], None]) -> None:
        _follow(lambda: self.members(role), changed, self._session.closed, f"members of {role}")


class HomeConfigStore:
    def __init__(self, files: HomeFiles, closed: threading.Event) -> None:
        self._files, self._closed = files, closed

    def get(self, key: str) -> Setting | None:
        row = self._files.read().settings.get(check_name("key", key))
        return Setting(row.value, row.version) if row is not None else None

    def set(self, key: str, value: bytes, *, version: int | None = None) -> int:
        check_value(check_name("key", key), value)
        with self._files.changing() as state:
            have = state.settings[key].version if key in state.settings else 0
            if version is not None and version != have:
                cause = "it does not exist" if have == 0 else f"it is at version {have}"
                raise Conflict(f"setting {key} is not at version {version}: {cause}")
            state.settings[key] = SettingRow(value=value, version=have + 1)
        return have + 1

    def watch(self, key: str, changed: Callable[[Setting | None], None]) -> None:
        _follow(lambda: self.get(key), changed, self._closed, f"setting {key}")


class HomeCoordinator:
    def __init__(self, home: Path, member_id: str) -> None:
        files = HomeFiles(home)
        self._session = _Session(files, member_id)
        self.election = HomeElection(files, self._session)
        self.membership = HomeMembership(files, self._session)
        self.config = HomeConfigStore(files, self._session.closed)

    def close(self) -> None:
        self._session.close()


def _follow(
    look: Callable[[], T], changed: Callable[[T], None], closed: threading.Event, what: str
) -> None:
    """A thread of its own looks again and again, and tells what is not as it was."""

    def run() -> None:
        seen: list[T] = []
        while not closed.is_set():
            with contextlib.suppress(ClusterError):  # the disk may answer the next time
                found = look()
                if seen != [found]:
                    seen[:] = [found]
                    changed(found)
            closed.wait(LOOK_S)

    threading.Thread(target=run, name=f"watch {what}", daemon=True).start()
