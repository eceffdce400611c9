"""Where replicas go: the writer's own datanode first, then another rack, then that second rack
again, then anywhere; chance decides the rest.

Never a datanode that is dead, excluded, full or already in use for the block; a stale one, or one
with many streams, only when nothing else is left: on an overloaded machine every datanode is late,
and refusing to write would not help. (HDFS's default policy: BlockPlacementPolicyDefault. Its first
replica is local, the second remote-rack, the third on the second's rack.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

from clusterkit.effects import Instant
from minihdfs.namenode.core.datanodes.datanodes import Datanode, Datanodes, is_on
from minihdfs.namenode.core.datanodes.room import disks_of

LOAD_FACTOR = 2.0
"""A datanode with more than this many times the average of open streams counts as loaded."""


class Placement:
    def __init__(self, datanodes: Datanodes, rng: random.Random) -> None:
        self._datanodes, self._rng = datanodes, rng

    def choose(
        self,
        count: int,
        block_bytes: int,
        now: Instant,
        *,
        host: str = "",
        exclude: Collection[str] = (),
        favored: Collection[str] = (),
        existing: tuple[Datanode, ...] = (),
    ) -> list[Datanode]:
        """At most `count` datanodes for new replicas beside `existing`; fewer when there are no
        more."""
        usable = [
            node
            for node in self._datanodes.live()
            if self._reason(node, block_bytes, exclude) is None and node not in existing
        ]
        usable = [node for node in usable if not self._datanodes.is_stale(node, now)] or usable
        chosen: list[Datanode] = []
        limit = self._load_limit()
        while usable and len(chosen) < count:
            node = self._next([*existing, *chosen], usable, host, favored, limit)
            chosen.append(node)
            usable.remove(node)
            usable = [other for other in usable if self._has_room(other, block_bytes, chosen)]
        return chosen

    def explain(self, block_bytes: int, exclude: Collection[str]) -> str:
        """Why `choose` found nobody: counts by reason."""
        nodes = list(self._datanodes.by_uuid.values())
        if not nodes:
            return "no datanode has registered"
        counts: dict[str, int] = {}
        for node in nodes:
            reason = self._reason(node, block_bytes, exclude) or "in use for this block"
            counts[reason] = counts.get(reason, 0) + 1
        live = sum(node.alive for node in nodes)
        return f"{live} of {len(nodes)} datanodes are live: " + ", ".join(
            f"{counts[reason]} {reason}" for reason in sorted(counts)
        )

    def is_promised(self, block_bytes: int, exclude: Collection[str]) -> bool:
        """Is there room that is only promised? A writer may need less of it than a whole block."""
        return any(
            node.usage.remaining_bytes >= block_bytes and node.uuid not in exclude
            for node in self._datanodes.live()
        )

    def _reason(self, node: Datanode, block_bytes: int, exclude: Collection[str]) -> str | None:
        if not node.alive:
            return "dead"
        if node.uuid in exclude:
            return "excluded by the writer"
        if node.usage.remaining_bytes < block_bytes:
            return f"with less than {block_bytes} bytes free"
        if self._datanodes.free_bytes(node) < block_bytes:
            return f"with less than {block_bytes} bytes free that no writer was promised"
        return None

    def _has_room(self, node: Datanode, block_bytes: int, chosen: list[Datanode]) -> bool:
        """Beside those just chosen: datanodes may share a disk."""
        disks = set(disks_of(node.address, node.usage))
        beside = sum(
            1 for other in chosen if not disks.isdisjoint(disks_of(other.address, other.usage))
        )
        return self._datanodes.free_bytes(node) >= (beside + 1) * block_bytes

    def _load_limit(self) -> float:
        live = self._datanodes.live()
        average = sum(node.usage.transfers for node in live) / max(1, len(live))
        return max(1.0, LOAD_FACTOR * average)

    def _next(
        self,
        taken: list[Datanode],
        usable: list[Datanode],
        host: str,
        favored: Collection[str],
        limit: float,
    ) -> Datanode:
        racks = [node.address.rack for node in taken]
        wishes: list[Callable[[Datanode], bool]] = (
            [lambda node: node.uuid in favored] if favored else []
        )
        if not taken:
            wishes.append(lambda node: is_on(node, host))
        elif len(set(racks)) == 1:
            wishes.append(lambda node: node.address.rack != racks[0])
        elif len(taken) == 2:
            wishes.append(lambda node: node.address.rack == racks[1])
        elif len(taken) > 2:
            wishes.append(lambda node: node.address.rack not in racks)
        calm = [node for node in usable if node.usage.transfers <= limit] or usable
        for wish in wishes:
            found = [node for node in calm if wish(node)]
            if found:
                return self._rng.choice(found)
        return self._rng.choice(calm)
