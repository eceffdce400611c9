"""What a worker keeps on its disk, who may name it, and how much room there is.

    work/ATTEMPT/               an attempt's own, 0700, its process's cwd; gone with the attempt
    map_outputs/JOB/ATTEMPT/    what a task made for others, data and index; gone with the job, or
                                with this incarnation of the worker
    code/SHA256.zip             code archives, verified by every task that loads one
    logs/ATTEMPT.log            what attempts printed; kept until there are too many
    trash/                      what is being deleted, by one thread in the background

Ids come from the wire: one that is not a plain name is refused before it becomes part of a path.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import shlex
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from clusterkit.disks import mount_point, with_its_disk
from clusterkit.errors import UsageError
from mapreduce.engine.map_output import DATA_NAME, HOLDS, INDEX_NAME, read_index
from mapreduce.worker import process_control
from mapreduce.worker.core.events import RoomMeasured
from mapreduce.worker.shuffle_server import SegmentPlace, ServedOutput

MEASURE_EVERY_S = 5.0
MAX_LOGS = 10_000
MAX_LOG_BYTES = 1 << 30
MAX_CODE_ARCHIVES = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_log = logging.getLogger(__name__)


class WorkerDirectories:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._trash_count = 0
        self._chores: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._janitor = threading.Thread(target=self._do_chores, name="janitor", daemon=True)

    def start(self) -> int:
        """Sweeps what an earlier incarnation left: its processes, then its files. Returns how many
        processes that were."""
        killed = self.kill_leftovers()
        self._janitor.start()
        (self.root / "trash").mkdir(mode=0o700, exist_ok=True)
        for old in sorted((self.root / "trash").iterdir()):
            self._chores.put(partial(_delete, old))
            self._trash_count = max(
                self._trash_count, int(old.name) + 1 if old.name.isdigit() else 0
            )
        for name in ("work", "map_outputs"):
            self._throw_away(self.root / name)
        for name in ("work", "map_outputs", "code", "logs"):
            (self.root / name).mkdir(mode=0o700, exist_ok=True)
        self._keep_newest(self.root / "code", MAX_CODE_ARCHIVES, MAX_LOG_BYTES)
        self.prune_logs()
        return killed

    def stop(self) -> None:
        self._chores.put(None)
        self._janitor.join(5.0)

    def kill_leftovers(self) -> int:
        """Kills every process that came out of a warm server of this directory. The directory's
        lock proves that none has an owner."""
        count = 0
        for _ in range(20):  # until none is found: one may have been forking
            found = list(process_control.marked(self.root))
            for pid in found:
                process_control.kill(pid)
            count += len(found)
            if not found:
                break
        return count

    # ── attempts ──

    def work(self, attempt_id: str) -> Path:
        return self.root / "work" / _name(attempt_id)

    def output(self, job_id: str, attempt_id: str) -> Path:
        return self.root / "map_outputs" / _name(job_id) / _name(attempt_id)

    def log(self, attempt_id: str) -> Path:
        return self.root / "logs" / f"{_name(attempt_id)}.log"

    @property
    def code(self) -> Path:
        return self.root / "code"

    def prepare(self, job_id: str, attempt_id: str) -> None:
        """Fresh directories for an attempt. Raises DiskFailed, OSError, UsageError."""
        for directory in (self.work(attempt_id), self.output(job_id, attempt_id)):
            try:
                self._throw_away(directory)
                directory.parent.mkdir(mode=0o700, exist_ok=True)
                directory.mkdir(mode=0o700)
            except OSError as error:
                raise with_its_disk(error, directory, HOLDS) from error

    def drop_work(self, attempt_id: str) -> None:
        self._throw_away(self.work(attempt_id))

    def drop_attempt(self, job_id: str, attempt_id: str) -> None:
        self.drop_work(attempt_id)
        self._throw_away(self.output(job_id, attempt_id))

    def drop_job(self, job_id: str) -> None:
        self._throw_away(self.root / "map_outputs" / _name(job_id))

    def read_output(self, job_id: str, attempt_id: str) -> ServedOutput:
        """The segment table of a finished task. Raises OSError, CorruptRecord."""
        directory = self.output(job_id, attempt_id)
        codec, entries = read_index(directory / INDEX_NAME)
        return ServedOutput(
            directory / DATA_NAME,
            [SegmentPlace(entry.offset, entry.length, entry.crc32c) for entry in entries],
            codec,
        )

    def read_log(self, attempt_id: str, offset: int, limit: int) -> tuple[bytes, int]:
        """A piece of an attempt's log and its whole length; raises FileNotFoundError."""
        path = self.log(attempt_id)
        total = path.stat().st_size
        with path.open("rb") as file:
            file.seek(min(offset, total))
            return file.read(limit), total

    def prune_logs(self) -> None:
        self._chores.put(lambda: self._keep_newest(self.root / "logs", MAX_LOGS, MAX_LOG_BYTES))

    # ── deleting ──

    @staticmethod
    def _keep_newest(directory: Path, count: int, size: int) -> None:
        rows = []
        for path in directory.iterdir():
            with contextlib.suppress(OSError):
                facts = path.stat()
                rows.append((facts.st_mtime_ns, facts.st_size, path))
        for _mtime, length, path in sorted(rows, reverse=True):
            count, size = count - 1, size - length
            if count < 0 or size < 0:
                path.unlink(missing_ok=True)

    def _throw_away(self, path: Path) -> None:
        """Gone at once, deleted soon."""
        target = self.root / "trash" / str(self._trash_count)
        with contextlib.suppress(FileNotFoundError):
            path.rename(target)
            self._trash_count += 1
            self._chores.put(partial(_delete, target))

    def _do_chores(self) -> None:
        while (chore := self._chores.get()) is not None:
            try:
                chore()
            except OSError as error:  # tidying up must never end the worker
                _log.warning("tidying up: %s", error)


def _delete(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        _log.warning("%s cannot be deleted; the next start tries again", path)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise UsageError(f"{text!r} is not the id of a job or an attempt")
    return text


class RoomWatch:
    """Measures the room on the disk below a directory, from time to time and when asked: in a
    thread of its own, because a disk that hangs must hold up nobody else."""

    def __init__(self, path: Path, post: Callable[[RoomMeasured], None]) -> None:
        """`post` may be called from any thread."""
        self._path, self._post = path, post
        self._asked, self._stopped = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="scratch-room", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def measure_now(self) -> None:
        self._asked.set()

    def stop(self) -> None:
        self._stopped = True
        self._asked.set()

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._post(measure(self._path))
            except OSError as error:  # what it held last stays true as far as anybody knows
                _log.warning("the room at %s cannot be measured: %s", self._path, error)
            self._asked.wait(MEASURE_EVERY_S)
            self._asked.clear()


def measure(path: Path) -> RoomMeasured:
    """Raises OSError."""
    disk = os.statvfs(path)
    return RoomMeasured(
        str(path),
        str(mount_point(path)),
        disk.f_bavail * disk.f_frsize,
        disk.f_blocks * disk.f_frsize,
        f"df -h {shlex.quote(str(path))}",
    )
