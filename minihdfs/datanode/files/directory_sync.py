"""fsync of directories, shared: everybody who asks while one runs is served by the single one that
follows it.

A rename is durable only after an fsync of its directory that began after the rename; an fsync
already under way may have missed it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from clusterkit.durable_file import fsync_directory


class _Group:
    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.started = 0
        self.finished = 0
        self.running = False
        self.failures: dict[int, OSError] = {}


class DirectorySync:
    def __init__(self, fsync: Callable[[str], None] = fsync_directory) -> None:
        self._fsync = fsync
        self._groups: dict[str, _Group] = {}
        self._lock = threading.Lock()

    def sync(self, directory: Path | str) -> None:
        """Returns when every rename made in `directory` before the call is durable. Raises OSError
        when it may not be."""
        path = str(directory)
        with self._lock:
            group = self._groups.setdefault(path, _Group())
        with group.condition:
            mine = group.started + 1
            while group.finished < mine:
                if group.running:
                    group.condition.wait()
                else:
                    self._run(group, path)
            if mine in group.failures:
                raise OSError(*group.failures[mine].args)

    def _run(self, group: _Group, path: str) -> None:
        """Called with the condition held; lets go of it during the fsync."""
        group.running = True
        group.started += 1
        mine = group.started
        group.condition.release()
        failure: OSError | None = None
        try:
            self._fsync(path)
        except OSError as error:
            failure = error
        group.condition.acquire()
        group.running, group.finished = False, mine
        if failure is not None:
            group.failures[mine] = failure
        group.condition.notify_all()
