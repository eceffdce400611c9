"""When a cluster that was just started can store and run: every datanode has reported and every worker attends."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from clusterkit.errors import ClusterError, TimedOut
from mrc.facts import gather
from mrc.home import Home

ASK_AGAIN_S = 0.03


def await_ready(home: Home, wanted: Sequence[tuple[str, str]], deadline_s: float) -> None:
    """`deadline_s` on time.monotonic. Raises TimedOut naming who is missing."""
    pause = threading.Event()
    while True:
        facts = gather(home)
        up = {(s["role"], s["id"]) for s in facts.services if s["state"] in ("live", "active", "standby")}
        absent = [who for who in wanted if who not in up]
        if facts.ready and not absent:
            return
        for role, node_id in absent:
            if not home.is_alive(role, node_id):
                raise ClusterError(
                    f"{role} {node_id} ended: {_last_word(home, role, node_id)}", next_command=f"tail {home.log(role, node_id)}"
                )
        if time.monotonic() > deadline_s:
            role, node_id = absent[0] if absent else ("namenode", "nn1")
            cause = facts.problems[0] if facts.problems else f"{role} {node_id} does not answer"
            raise TimedOut(f"the cluster is not ready: {cause}", next_command=f"tail {home.log(role, node_id)}")
        pause.wait(ASK_AGAIN_S)


def _last_word(home: Home, role: str, node_id: str) -> str:
    """The last line of a daemon's log, without the time and name it begins with."""
    lines = home.log(role, node_id).read_text(encoding="utf-8", errors="replace").splitlines() or ["without a word"]
    return lines[-1].partition(f"{role}-{node_id} ")[2] or lines[-1]
