"""A whole cluster as a user has it: started, looked at and ended by the real `mrc`, in a home of
its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clusterkit.service import Announcement
from coordinator.home import Home
from mapreduce.runners.tracker_client import TrackerClient
from minihdfs.client.filesystem import FileSystem
from mrc.context import Context
from tests.equipment.until import until

MRC = Path(sys.executable).with_name("mrc")
SETTINGS = """[network]
hadoop_ports = false

[namenode]
replication = 3
dead_after_s = 3.0

[tracker]
worker_dead_after_s = 3.0
"""


class WholeCluster:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = Home(directory / "home")
        self.home.path.mkdir(exist_ok=True)
        self.home.config_file.write_text(SETTINGS)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("MRC_")} | {
            "MRC_HOME": str(self.home.path)
        }

    def mrc(
        self, *arguments: object, rc: int | None = 0, text: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(MRC), *map(str, arguments)],
            cwd=self.directory,
            env=self.environment | {"NO_COLOR": "1"},
            capture_output=True,
            timeout=150,
            check=False,
            input=text,
        )
        decoded = subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )
        assert rc is None or decoded.returncode == rc, (
            f"mrc {arguments}: exit {decoded.returncode}: {decoded.stderr[-2000:]}"
        )
        assert "Traceback" not in decoded.stderr or 'File "' in decoded.stderr, decoded.stderr
        return decoded

    def up(self, size: int = 3) -> None:
        self.mrc("up", "-n", size)

    def status(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self.mrc("status", "-o", "json").stdout)
        return facts

    def tracker(self) -> TrackerClient:
        return TrackerClient(Context(self.home).tracker_address)

    def filesystem(self) -> FileSystem:
        return Context(self.home).filesystem()

    def living(self, role: str) -> list[Announcement]:
        return self.home.living(role)

    def kill(self, role: str, index: int = 0) -> Announcement:
        """SIGKILL, and waits until the process is gone."""
        victim = self.living(role)[index]
        handle = os.pidfd_open(victim.pid)
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        until(lambda: not self.home.is_alive(role, victim.id), f"{role} {victim.id} is gone")
        os.close(handle)
        return victim

    def write(self, name: str, data: bytes | str) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def output(self, path: str) -> bytes:
        """All part files one after the other."""
        with contextlib.closing(self.filesystem()) as filesystem:
            names = sorted(entry.name for entry in filesystem.list(path))
            assert "_SUCCESS" in names
            parts = []
            for name in names:
                if name.startswith("part-"):
                    with filesystem.open(f"{path}/{name}") as part:
                        parts.append(part.read())
            return b"".join(parts)


@contextlib.contextmanager
def whole_cluster(directory: Path, size: int = 3) -> Iterator[WholeCluster]:
    cluster = WholeCluster(directory)
    try:
        cluster.up(size)
        yield cluster
    finally:
        cluster.mrc("down", rc=None)
