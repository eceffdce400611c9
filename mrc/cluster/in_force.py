"""Which settings a running daemon began with: what was changed since is said, and how it comes into
force."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from coordinator.home import Home
from mrc.settings import Settings

FACT = "settings"
SECTIONS = {
    "namenode": ("cluster", "security", "network", "namenode"),
    "datanode": ("cluster", "security", "network", "datanode"),
    "tracker": ("cluster", "security", "network", "tracker"),
    "worker": ("cluster", "security", "network", "worker"),
}
_ONLY_AT_FIRST = {"network.hadoop_ports"}
"""Decided when a daemon starts for the first time: a change has nothing to change."""


def began_with(role: str, settings: Settings) -> dict[str, str]:
    """For a daemon's announcement."""
    tree = msgspec.to_builtins(settings)
    return {FACT: json.dumps({section: tree[section] for section in SECTIONS.get(role, ())})}


def not_in_force(home: Home, settings: Settings) -> list[str]:
    """One line for each setting that a living daemon does not have as it is configured now."""
    now: dict[str, dict[str, Any]] = msgspec.to_builtins(settings)
    found: dict[str, tuple[str, list[str]]] = {}
    for daemon in home.living():
        try:
            then = json.loads(daemon.facts.get(FACT) or "{}")
        except ValueError:
            continue
        for section, values in then.items():
            for key, value in values.items():
                dotted, wanted = f"{section}.{key}", now.get(section, {}).get(key)
                if (
                    wanted == value
                    or dotted in _ONLY_AT_FIRST
                    or (dotted == "worker.slots" and wanted == 0)
                ):  # `mrc up` shares the cores
                    continue
                said = (
                    f"{dotted} = {json.dumps(wanted)} is not in force: {{}} began with "
                    f"{json.dumps(value)}"
                )
                found.setdefault(said, (said, []))[1].append(f"{daemon.role} {daemon.id}")
    return [said.replace("{}", ", ".join(who), 1) for said, who in found.values()]
