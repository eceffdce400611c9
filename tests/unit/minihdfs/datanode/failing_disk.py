"""Disks that fail as they are told to: calls on paths (or descriptors of files) below a directory
raise an errno, or hang."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class FailingDisk:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, below: Path) -> None:
        self.below, self.errno, self.calls = str(below), 0, 0
        self.hangs = threading.Event()
        self.free = threading.Event()
        self.met = threading.Semaphore(0)
        self.names: tuple[str, ...] = ()
        for name in (
            "open",
            "scandir",
            "stat",
            "preadv",
            "pread",
            "pwrite",
            "fsync",
            "fdatasync",
            "rename",
            "unlink",
            "statvfs",
            "mkdir",
        ):
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def fail(self, errno_: int, *names: str) -> None:
        """From now on these calls (all, when none is named) fail; 0 ends it."""
        self.errno, self.names = errno_, names

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(target: Any, *rest: Any, **named: Any) -> Any:
            if (
                (self.errno or self.hangs.is_set())
                and (not self.names or name in self.names)
                and self._is_ours(target)
            ):
                self.calls += 1
                self.met.release()
                if self.errno:
                    raise OSError(self.errno, os.strerror(self.errno), str(target))
                assert self.free.wait(30)
            return real(target, *rest, **named)

        return call

    def _is_ours(self, target: Any) -> bool:
        if isinstance(target, int):
            try:
                target = Path(f"/proc/self/fd/{target}").readlink()
            except OSError:
                return False
        return os.fspath(target).startswith(self.below)
