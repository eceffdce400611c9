"""Real foreign servers for contract suites."""

from __future__ import annotations

from tests.equipment.fixtures import zookeeper

__all__ = ["zookeeper"]
