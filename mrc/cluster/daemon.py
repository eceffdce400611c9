"""The root of every daemon: reads the settings, builds the parts of one role, serves until a signal
or a failure.

Exit codes: 0 an orderly end, 3 stepped down (fenced, lease or disk lost: memory is discarded), 1
could not start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from setproctitle import setproctitle

from clusterkit.checksum import share_process_fairly
from clusterkit.descriptors import raise_descriptor_limit
from clusterkit.errors import ClusterError
from clusterkit.garbage import GarbagePolicy
from clusterkit.log import start_logging
from clusterkit.service import Announcement, Service
from coordinator.home import Home
from mrc.cluster.in_force import began_with
from mrc.settings import Settings, read_settings

if TYPE_CHECKING:
    from coordinator.api import Coordinator

EXIT_STEPPED_DOWN = 3
SAYS_NEXT = "; try: "
"""Between the cause of a failed start and the command that helps, in the line that the launcher
reads."""
SERVES_MANY = ("namenode", "datanode", "tracker")
"""Roles with a thousand clients. Not the worker: a user's tasks inherit its limits."""
HOLDS_MUCH = ("namenode", "datanode")
"""Roles with a million records in memory, and no children that would inherit how garbage is
collected."""
MOVES_BYTES = ("datanode",)
"""Roles whose threads mostly read, check and send. (Tasks do the same for themselves.)"""
HOME_LOOK_S, HOME_GRACE_S = 1.0, 5.0


def serve(
    home: Home, role: str, node_id: str, flags: Sequence[str], report: TextIO | None = None
) -> int:
    """Runs one daemon in this process until it ends; `report` hears "serving" or the cause of
    failure in one line."""
    start_logging(f"{role}-{node_id}")
    setproctitle(f"mrc: {role} {node_id}")
    log = logging.getLogger("mrc.cluster.daemon")
    if role in SERVES_MANY:
        raise_descriptor_limit()
    if role in MOVES_BYTES:
        share_process_fairly()
    try:
        settings, _ = read_settings(home, flags)
        service = build(home, role, node_id, settings)
        service.start()
    except (ClusterError, OSError) as error:
        following = getattr(error, "next_command", None)
        cause = f"{error}{SAYS_NEXT}{following}" if following else f"{error}"
        log.error("cannot start: %s", cause)
        _say(report, cause)
        return 1
    except (
        Exception
    ) as error:  # the launcher must hear of it: a silent death would look like a hang
        log.error("cannot start:\n%s", traceback.format_exc())
        _say(report, f"{type(error).__name__}: {error}")
        return 1
    announcement = _announcement(home, role, node_id, service, settings)
    announcement.publish(home.path)
    membership = _join(announcement, settings)
    log.info("serving at %s", service.address)
    if role in HOLDS_MUCH:
        GarbagePolicy().start()
    _say(report, "serving")
    _stop_on_signals(service)
    watching = threading.Event()
    _watch_home(service, home, announcement, watching)
    _wait(service, log)
    watching.set()
    announcement.withdraw(home.path)
    if membership is not None:
        membership.close()
    log.info("ended")
    return 0


def _announcement(
    home: Home, role: str, node_id: str, service: Service, settings: Settings
) -> Announcement:
    return Announcement(
        role=role,
        id=node_id,
        pid=os.getpid(),
        address=service.address,
        ports=dict(service.ports),
        data_dirs=[str(home.data(role, node_id))],
        log=str(home.log(role, node_id)),
        epoch=int(getattr(service, "epoch", 0)),
        facts=began_with(role, settings),
    )


def _wait(service: Service, log: logging.Logger) -> None:
    """Returns when the service has ended in order; anything else ends the process."""
    try:
        service.wait()
    except (ClusterError, OSError) as error:
        log.error("stepping down: %s", error)
        os._exit(EXIT_STEPPED_DOWN)
    except Exception:  # the last thing this process does is say why
        log.critical("stepping down:\n%s", traceback.format_exc())
        os._exit(EXIT_STEPPED_DOWN)


def build(home: Home, role: str, node_id: str, settings: Settings) -> Service:
    from mrc.cluster.roles import BUILDERS

    if role not in BUILDERS:
        raise ClusterError(f"no such role: {role}; known: {', '.join(BUILDERS)}")
    return BUILDERS[role](home, node_id, settings)


def _join(announcement: Announcement, settings: Settings) -> Coordinator | None:
    """Tells the coordinator of several machines who is here; on one machine the home's
    announcements are enough."""
    url = settings.cluster.coordinator
    if url == "embedded":
        return None
    from coordinator.api import Member
    from coordinator.connect import connect

    facts = {
        "pid": str(announcement.pid),
        "log": announcement.log,
        "data_dirs": os.pathsep.join(announcement.data_dirs),
    }
    member_id, timeout_s = (
        f"{announcement.role}-{announcement.id}-member",
        settings.cluster.session_timeout_s,
    )
    coordinator = connect(url, member_id, timeout_s, security_mode=settings.security.mode)
    coordinator.membership.join(
        Member(announcement.role, announcement.id, announcement.address, facts)
    )
    return coordinator


def _stop_on_signals(service: Service) -> None:
    def stop(_number: int, _frame: object) -> None:
        # A handler interrupts any line of the main thread; a thread of its own can take locks
        # safely.
        threading.Thread(target=service.stop, name="stop", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _watch_home(
    service: Service, home: Home, announcement: Announcement, over: threading.Event
) -> None:
    """Somebody who deletes a running cluster's home could not find its processes any more: `mrc
    down` looks there. Who sweeps away a lock file lets a second daemon lock the same directory: one
    of the two must go, and that is the one whose lock nobody can see. What was announced there and
    is gone or cut is announced again."""
    directory = home.data(announcement.role, announcement.id)
    lock = lock_seen(directory)

    def watch() -> None:
        was_missing = (
            False  # twice in a row: a home that is being deleted just now is not filled again
        )
        while is_ours(directory, lock):
            if over.wait(HOME_LOOK_S):
                return
            with contextlib.suppress(OSError):  # a full disk: the next look tries again
                missing = directory.exists() and not announcement.is_published(home.path)
                if missing and was_missing:
                    announcement.publish(home.path)
                was_missing = missing
        what = (
            f"{directory}/lock was removed or replaced, so that another daemon can take the "
            "directory"
            if directory.exists()
            else ""
        )
        logging.getLogger("mrc.cluster.daemon").error(
            "%s: ending; try: mrc up", what or f"{directory} was deleted"
        )
        threading.Timer(
            HOME_GRACE_S, lambda: os._exit(EXIT_STEPPED_DOWN)
        ).start()  # nothing is left that would be worth more waiting
        service.stop()

    threading.Thread(target=watch, name="home-watch", daemon=True).start()


def lock_seen(directory: Path) -> tuple[int, int]:
    """Which file others meet who want to lock this data directory."""
    facts = (directory / "lock").stat()
    return facts.st_dev, facts.st_ino


def is_ours(directory: Path, lock: tuple[int, int]) -> bool:
    """A disk that does not answer is no answer: nobody else gets the lock there either."""
    try:
        return lock_seen(directory) == lock
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _say(report: TextIO | None, line: str) -> None:
    """A launcher that has given up, because another daemon failed first, takes nobody with it."""
    if report is not None:
        with contextlib.suppress(BrokenPipeError):
            report.write(" ".join(line.split()) + "\n")
            report.flush()
        with contextlib.suppress(BrokenPipeError):
            report.close()


def main(arguments: Sequence[str]) -> int:
    """python -m mrc.cluster.daemon HOME ROLE ID [SECTION.KEY=VALUE…]"""
    home, role, node_id, *flags = arguments
    return serve(Home(Path(home)), role, node_id, flags)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
