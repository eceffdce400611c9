"""What a task prints, kept in one file per attempt, bounded: the beginning and the end of a flood
stay, the middle is counted. Output that the disk did not take is counted too, and told in its place
as soon as the disk takes anything: it must not end the task."""

from __future__ import annotations

import os
import re
from collections import deque
from pathlib import Path

from clusterkit.disks import with_its_disk

HOLDS = "the log of an attempt"
LOG_LIMIT_BYTES = 16 << 20
TAIL_BYTES = 64 << 10
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.+)')


class AttemptLog:
    """The reading end of a task's stdout and stderr, and the file they go to."""

    def __init__(self, path: Path, limit: int = LOG_LIMIT_BYTES) -> None:
        self.path, self._limit = path, limit
        self._read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_fd, False)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._written = os.fstat(self._file).st_size
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._held_back = 0  # bytes beyond the limit that are in neither file nor tail
        self._flooded = False
        self._lost = 0  # bytes that the disk did not take, not yet told
        self._lost_because = ""

    def fileno(self) -> int:
        return self._read_fd

    def close_write_end(self) -> None:
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def pump(self, rounds: int = 16) -> bool:
        """Takes what is there, a bounded amount. False when every writer is gone."""
        for _ in range(rounds):
            try:
                data = os.read(self._read_fd, 1 << 16)
            except BlockingIOError:
                return True
            except InterruptedError:
                continue
            if not data:
                return False
            self._take(data)
        return True

    def close(self) -> None:
        """After the last writer: what is still in the pipe, then the end of a flood."""
        self.close_write_end()
        for _ in range(64):
            if not self.pump(1):
                break
        if self._lost:
            self._write(b"")
        if self._flooded:
            notice = (
                f"\n[… {self._held_back} bytes of output left out: the log of one attempt "
                f"keeps {self._limit} …]\n"
            )
            self._write(notice.encode() + b"".join(self._tail))
        os.close(self._read_fd)
        os.close(self._file)

    def _take(self, data: bytes) -> None:
        if not self._flooded:
            room = max(0, self._limit - self._written)
            self._write(data[:room])
            data = data[room:]
            self._flooded = bool(data)
        if data:
            self._tail.append(data)
            self._tail_bytes += len(data)
            while self._tail_bytes - len(self._tail[0]) >= TAIL_BYTES:
                dropped = len(self._tail.popleft())
                self._tail_bytes -= dropped
                self._held_back += dropped

    def _write(self, data: bytes) -> None:
        if self._lost:
            notice = (
                f"\n[… {self._lost} bytes of output were lost here: {self._lost_because} …]\n"
            ).encode()
            if self._put(notice) < len(notice):
                self._lost += len(data)
                return
            self._lost = 0
        self._lost += len(data) - self._put(data)

    def _put(self, data: bytes) -> int:
        """How many bytes the disk has taken: a full one must not end the tasks of every job."""
        taken = 0
        with memoryview(data) as view:
            while taken < len(data):
                try:
                    taken += os.write(self._file, view[taken:])
                except OSError as error:
                    self._lost_because = str(with_its_disk(error, self.path, HOLDS))
                    break
        self._written += taken
        return taken

    def recent(self) -> str:
        """The last part of what was printed, for whoever looks for a stack dump in it."""
        if self._flooded:
            data = b"".join(self._tail)
        else:
            with open(self.path, "rb") as file:
                file.seek(max(0, self._written - TAIL_BYTES))
                data = file.read()
        return data.decode("utf-8", "replace")


def stack_top(text: str, ours: tuple[str, ...]) -> str:
    """The innermost frame of the user's code in faulthandler's last dump: `hang.py line 6 in map`;
    empty when there is none.

    `ours` are the beginnings of file names that are not the user's."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("Current thread 0x")]
    starts = starts or [number for number, line in enumerate(lines) if line.startswith("Thread 0x")]
    if not starts:
        return ""
    first = ""
    for line in lines[starts[-1] + 1 :]:
        match = _FRAME.fullmatch(line)
        if match is None:
            break
        found = f"{Path(match['file']).name} line {match['line']} in {match['name']}"
        first = first or found
        if not match["file"].startswith(ours):
            return found
    return first
