"""The directory that holds all of a one-machine cluster, and what lies where in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from clusterkit.errors import UsageError
from clusterkit.service import Announcement, announcements, holder, is_held


@dataclass(frozen=True, slots=True)
class Home:
    path: Path

    @staticmethod
    def named(given: str | None) -> Home:
        """--home, else MRC_HOME, else $XDG_STATE_HOME/mrcluster."""
        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        try:
            return Home(
                Path(given or os.environ.get("MRC_HOME") or f"{state}/mrcluster")
                .expanduser()
                .absolute()
            )
        except RuntimeError:  # a uid without a passwd entry (a container's), and no $HOME
            raise UsageError(
                "this user has no home directory: say where the cluster lies",
                next_command="export MRC_HOME=DIR",
            ) from None

    @property
    def coordinator_url(self) -> str:
        return f"home://{self.path}"

    @property
    def config_file(self) -> Path:
        return self.path / "cluster.toml"

    def data(self, role: str, node_id: str) -> Path:
        return self.path / "data" / f"{role}-{node_id}"

    def log(self, role: str, node_id: str) -> Path:
        return self.path / "logs" / f"{role}-{node_id}.log"

    def announced(self, role: str | None = None) -> list[Announcement]:
        """What daemons said when they began to serve; a dead one's words remain until it is started
        again."""
        return [a for a in announcements(self.path) if role in (None, a.role)]

    def is_alive(self, role: str, node_id: str) -> bool:
        return is_held(self.data(role, node_id))

    def living(self, role: str | None = None) -> list[Announcement]:
        """Those that serve. What an earlier process announced is not taken for the word of the one
        that is just starting."""
        return [a for a in self.announced(role) if holder(self.data(a.role, a.id)) == a.pid]

    def holders(self) -> list[tuple[str, int]]:
        """(role, process) of every daemon of this home that lives, whether it serves yet or not."""
        found = [
            (path.name.partition("-")[0], holder(path))
            for path in sorted(self.path.glob("data/*-*"))
        ]
        return [(role, pid) for role, pid in found if pid]
