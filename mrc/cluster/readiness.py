"""When a cluster that was just started can store and run: every datanode has reported and every
worker attends."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from clusterkit.errors import ClusterError, TimedOut, TryAgain, Unavailable
from coordinator.home import Home
from mrc.cluster.facts import Facts, gather
from mrc.printing import err

ASK_AGAIN_S = 0.03
NOTICE_AFTER_S = 2.0
SAFE_MODE_PATIENCE_S = 45.0
"""Longer than a namenode waits for datanodes that do not come back."""


def await_ready(home: Home, wanted: Sequence[tuple[str, str]], deadline_s: float) -> None:
    """`deadline_s` on time.monotonic. Raises TimedOut naming who is missing, TryAgain when the
    namenode stays in safe mode for a reason that waiting does not mend, ClusterError when nobody
    has room for a block."""
    pause = threading.Event()
    all_here_s: float | None = None  # since when everybody attends
    noticed = False
    while True:
        facts = _gathered(home)
        up = (
            {
                (s["role"], s["id"])
                for s in facts.services
                if s["state"] in ("live", "active", "standby")
            }
            if facts
            else set()
        )
        absent = [who for who in wanted if who not in up]
        if facts is not None and not absent:
            if facts.ready:
                return
            all_here_s = all_here_s or time.monotonic()
            settled_s = time.monotonic() - all_here_s
            if settled_s > NOTICE_AFTER_S and facts.filesystem.get("safe_mode") and not noticed:
                noticed = True
                err(safe_mode_text(facts.filesystem), lines=False)
            _refuse_what_stays(facts, settled_s)
        for role, node_id in absent:
            if not home.is_alive(role, node_id):
                raise ClusterError(
                    f"{role} {node_id} ended: {_last_word(home, role, node_id)}",
                    next_command=f"tail {home.log(role, node_id)}",
                )
        if time.monotonic() > deadline_s:
            role, node_id = absent[0] if absent else ("namenode", "nn1")
            cause = (
                facts.problems[0]
                if facts is not None and facts.problems
                else f"{role} {node_id} does not answer"
            )
            raise TimedOut(
                f"the cluster is not ready: {cause}", next_command=f"tail {home.log(role, node_id)}"
            )
        pause.wait(ASK_AGAIN_S)


def _gathered(home: Home) -> Facts | None:
    """None while daemons live and none has announced itself: its words were lost, and it says them
    again."""
    try:
        return gather(home)
    except Unavailable:
        if not home.holders():
            raise
        return None


def _refuse_what_stays(facts: Facts, settled_s: float) -> None:
    fs = facts.filesystem
    if fs and not facts.can_store:
        full = "; ".join(problem for problem in facts.problems if "disk is full" in problem)
        raise ClusterError(
            f"the cluster runs, and no block fits on its disks: {full}", next_command="df -h"
        )
    if fs and fs["safe_mode"] and settled_s > SAFE_MODE_PATIENCE_S:
        raise TryAgain(safe_mode_text(fs), next_command="mrc status")


def safe_mode_text(fs: dict[str, Any]) -> str:
    missing = fs["missing_blocks"]
    why = (
        f"{missing} of {fs['blocks']} blocks are on no datanode that is here"
        if missing
        else "it waits for datanodes' reports"
    )
    return f"the namenode is in safe mode, files can be read and not changed: {why}"


def _last_word(home: Home, role: str, node_id: str) -> str:
    """The last line of a daemon's log, without the time and name it begins with."""
    lines = home.log(role, node_id).read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "without a word")
    return last.partition(f"{role}-{node_id} ")[2] or last.strip()
