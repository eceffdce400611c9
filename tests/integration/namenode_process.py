"""A namenode as a process of its own, for tests that kill it: `python -m
tests.integration.namenode_process DIRECTORY USER`.

Prints its address when it leads. Its coordinator is in memory and dies with it; the directory alone
carries cluster id, ports and epochs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class NamenodeProcess:
    def __init__(self, directory: Path, user: str) -> None:
        command = [sys.executable, "-m", "tests.integration.namenode_process", str(directory), user]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        assert self.address, f"the namenode did not start (exit {self._process.wait(10)})"

    def kill(self) -> None:
        """SIGKILL: nothing of it is written any more."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """Orderly. Does nothing for a killed one."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


def main(directory: str, user: str) -> None:
    from coordinator.backends.memory import MemoryCoordinator, MemoryHub
    from minihdfs.namenode.core.options import Options
    from minihdfs.namenode.service import NamenodeService, NamenodeServiceOptions

    core = Options(cluster_id="", superuser=user)
    service = NamenodeService(
        NamenodeServiceOptions(node_id="nn1", data_dir=Path(directory), core=core),
        MemoryCoordinator(MemoryHub()),
    )
    service.start()
    sys.stdout.write(f"{service.address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    service.stop()
    service.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
