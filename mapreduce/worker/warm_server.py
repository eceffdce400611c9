"""The warm task server: a process of one thread that has loaded the engine and forks one process
per attempt, in about ten milliseconds.

It never imports gRPC and never loads a user's code. It is always made by exec (`python -m
mapreduce.worker.warm_server FD`), the first time and after its death alike, so nothing of the
worker's threads, descriptors or secrets is in it; its environment is an allow-list. It speaks with
the worker over one SOCK_SEQPACKET socket, a JSON document per packet; the task's own channel comes
with the launch.

Nothing that a task starts survives the task:
* a task is a session of its own, dies with this process, and adopts its own orphans; when it ends,
  what it leaves behind becomes a child of this process. So every child that is not a running task
  belongs to a dead one: it is killed, and the task's end is told after that.
* this process ends when the worker does (its socket closes, or the parent-death signal comes), all
  its tasks and their orphans first.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import logging
import os
import resource
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from clusterkit.disks import with_its_disk
from clusterkit.errors import DiskFailed
from mapreduce.worker import process_control
from mapreduce.worker.attempt_log import HOLDS, LOG_LIMIT_BYTES, AttemptLog, stack_top
from mapreduce.worker.task_main import run_task
from mapreduce.worker.warm_up import warm_up

DUMP_WAIT_S = 0.3
STUBBORN_S = 10.0
"""An orphan that does not die of SIGKILL (a dead disk) does not hold back the news of its task's
end for longer."""
CHANNEL_FD = 3


class Task:
    """One running attempt, seen from its parent."""

    def __init__(self, attempt_id: str, pid: int, log: AttemptLog) -> None:
        self.attempt_id, self.pid, self.log = attempt_id, pid, log
        self.kill_at: float | None = None
        self.dumped = False
        self.wait_status: int | None = None
        self.ended_at = 0.0


class WarmServer:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._tasks: dict[str, Task] = {}
        self._ours = (*_our_directories(), f"{Path(os.__file__).parent}/", "<frozen ")
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._on_control)
        wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(wake_read, selectors.EVENT_READ, lambda: _drain(wake_read))
        self._ending = False
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_terminate)

    def serve(self) -> None:
        """Until the worker is gone."""
        self._say({"ready": os.getpid()})
        while not self._ending:
            for key, _mask in self._selector.select(self._timeout_s()):
                key.data()
            self._end_those_due()
            self._reap()
        self._end_all()

    # ── the worker's orders ──

    def _on_control(self) -> None:
        packet, descriptors, _flags, _address = socket.recv_fds(self._control, 1 << 16, 4)
        if not packet:
            self._ending = True
            return
        order = json.loads(packet)
        if "launch" in order:
            self._launch(order, descriptors[0])
        elif "kill" in order:
            self._kill(order["kill"], bool(order.get("dump")))

    def _launch(self, order: dict[str, Any], channel: int) -> None:
        attempt_id = order["launch"]
        try:
            log = AttemptLog(Path(order["log"]), int(order.get("log_limit", LOG_LIMIT_BYTES)))
        except OSError as error:
            os.close(channel)
            said = with_its_disk(error, Path(order["log"]), HOLDS)
            command = said.next_command if isinstance(said, DiskFailed) else None
            reason = f"its log cannot be opened: {said}"
            self._say({"not_started": attempt_id, "reason": reason, "disk_command": command})
            return
        try:
            pid = os.fork()
        except OSError as error:
            os.close(channel)
            log.close()
            self._say({"not_started": attempt_id, "reason": f"fork: {error}"})
            return
        if pid == 0:
            _become_task(channel, log.write_fd, Path(order["work"]), attempt_id)
        os.close(channel)
        log.close_write_end()
        task = self._tasks[attempt_id] = Task(attempt_id, pid, log)
        self._selector.register(log, selectors.EVENT_READ, lambda: self._pump(task))
        self._say({"started": attempt_id, "pid": pid})

    def _kill(self, attempt_id: str, dump: bool) -> None:
        task = self._tasks.get(attempt_id)
        if task is None or task.wait_status is not None:
            return
        if dump:
            task.dumped, task.kill_at = True, time.monotonic() + DUMP_WAIT_S
            process_control.kill(task.pid, signal.SIGQUIT)
        else:
            process_control.kill_group(task.pid)

    def _on_terminate(self, _number: int, _frame: object) -> None:
        self._ending = True

    # ── what becomes of tasks ──

    def _pump(self, task: Task) -> None:
        if not task.log.pump():
            self._selector.unregister(task.log)

    def _timeout_s(self) -> float | None:
        now = time.monotonic()
        moments = [task.kill_at for task in self._tasks.values() if task.kill_at is not None]
        if any(task.wait_status is not None for task in self._tasks.values()):
            moments.append(now + 0.05)  # orphans are being killed
        return max(0.0, min(moments) - now) if moments else None

    def _end_those_due(self) -> None:
        now = time.monotonic()
        for task in self._tasks.values():
            if task.kill_at is not None and task.kill_at <= now:
                task.kill_at = None
                process_control.kill_group(task.pid)

    def _reap(self) -> None:
        self._collect()
        if not any(task.wait_status is not None for task in self._tasks.values()):
            return
        orphans = self._kill_orphans()
        now = time.monotonic()
        for task in [task for task in self._tasks.values() if task.wait_status is not None]:
            if not orphans or now - task.ended_at > STUBBORN_S:
                self._tell_exit(task)

    def _collect(self) -> None:
        """Waits for whatever child has ended, tasks and orphans alike."""
        by_pid = {task.pid: task for task in self._tasks.values()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in by_pid:
                task = by_pid[pid]
                task.wait_status, task.ended_at, task.kill_at = status, time.monotonic(), None

    def _kill_orphans(self) -> list[int]:
        """Children that are no running task were left behind by one that has ended. Those that are
        still there."""
        for _ in range(50):
            running = {task.pid for task in self._tasks.values() if task.wait_status is None}
            orphans = [pid for pid in process_control.children(os.getpid()) if pid not in running]
            if not orphans:
                return []
            for pid in orphans:
                process_control.kill(pid)
            self._collect()  # and what those left behind comes next
        return orphans

    def _tell_exit(self, task: Task) -> None:
        del self._tasks[task.attempt_id]
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(task.log)
        task.log.close_write_end()
        task.log.pump()
        top = stack_top(task.log.recent(), self._ours) if task.dumped else ""
        task.log.close()
        code = os.waitstatus_to_exitcode(task.wait_status or 0)
        killed_by = process_control.signal_name(-code) if code < 0 else ""
        self._say(
            {"exited": task.attempt_id, "status": code, "killed_by": killed_by, "stack_top": top}
        )

    def _end_all(self) -> None:
        for task in self._tasks.values():
            process_control.kill_group(task.pid)
        end = time.monotonic() + STUBBORN_S
        while time.monotonic() < end:
            self._collect()
            left = process_control.children(os.getpid())
            if not left:
                return
            for pid in left:
                process_control.kill(pid)
            signal.sigtimedwait([signal.SIGCHLD], 0.01)

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._control.send(json.dumps(message).encode())
        except OSError:
            self._ending = True


def _become_task(channel: int, log: int, work: Path, attempt_id: str) -> NoReturn:
    """The child's side of the fork: never returns into the server's frames."""
    status = 1
    try:
        server_pid = os.getppid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        process_control.die_with_parent(server_pid)
        process_control.adopt_orphans()
        process_control.prefer_to_be_killed()
        process_control.set_name(attempt_id.partition("_")[2])
        _take_descriptors(channel, log)
        os.chdir(work)
        os.environ["TMPDIR"] = str(work)
        _take_streams()
        faulthandler.enable(file=2, all_threads=True)
        faulthandler.register(signal.SIGQUIT, file=2, all_threads=True)
        gc.enable()
        status = run_task(socket.socket(fileno=CHANNEL_FD))
    except (
        BaseException
    ):  # the parent's loop must never run in the child: whatever it is, it is said in the log
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _take_descriptors(channel: int, log: int) -> None:
    """0 = nothing, 1 and 2 = the log, 3 = the channel; everything else of the server is closed."""
    null = os.open(os.devnull, os.O_RDONLY)
    high = [os.dup2(fd, 200 + number) for number, fd in enumerate((null, log, channel))]
    os.dup2(high[0], 0)
    os.dup2(high[1], 1)
    os.dup2(high[1], 2)
    os.dup2(high[2], CHANNEL_FD, inheritable=False)
    os.closerange(CHANNEL_FD + 1, 65_536)


def _take_streams() -> None:
    """New ones: the server's may have been made for another kind of file. What is not UTF-8 must
    not end a task that prints it."""
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    for name, fd in (("stdout", 1), ("stderr", 2)):
        setattr(
            sys,
            name,
            open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False),  # noqa: SIM115
        )
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        force=True,
    )


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 4096):
            pass


def _our_directories() -> tuple[str, ...]:
    root = Path(__file__).resolve().parents[2]
    return tuple(f"{root / package}/" for package in ("mapreduce", "minihdfs", "clusterkit", "mrc"))


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    process_control.die_with_parent(int(sys.argv[2]), signal.SIGTERM)
    process_control.adopt_orphans()
    process_control.gain_no_privileges()
    process_control.set_name("warm-server")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warm_up()
    gc.collect()
    gc.freeze()  # pages of what is loaded now stay shared with the tasks
    gc.disable()
    WarmServer(control).serve()


if __name__ == "__main__":
    main()
