"""The durable changes of what stands beside a name: mode, owner, times, replication. Each followed
by what it does to the state (rules: tree/edits)."""

from __future__ import annotations

from clusterkit.records import Record
from minihdfs.namenode.core.registry import Edits
from minihdfs.namenode.core.state import State


class PermissionSet(Record, frozen=True, tag=60):
    inode_id: int
    permission: int


def permission_set(state: State, op: PermissionSet, at_ms: int) -> None:
    state.namespace.put(state.namespace.require(op.inode_id)._replace(permission=op.permission))


class OwnerSet(Record, frozen=True, tag=61):
    inode_id: int
    owner: str
    group: str


def owner_set(state: State, op: OwnerSet, at_ms: int) -> None:
    state.namespace.put(
        state.namespace.require(op.inode_id)._replace(owner=op.owner, group=op.group)
    )


class TimesSet(Record, frozen=True, tag=62):
    inode_id: int
    modified_ms: int
    accessed_ms: int


def times_set(state: State, op: TimesSet, at_ms: int) -> None:
    state.namespace.put(
        state.namespace.require(op.inode_id)._replace(
            modified_ms=op.modified_ms, accessed_ms=op.accessed_ms
        )
    )


class ReplicationSet(Record, frozen=True, tag=63):
    inode_id: int
    replication: int


def replication_set(state: State, op: ReplicationSet, at_ms: int) -> None:
    inode = state.namespace.require(op.inode_id)
    state.namespace.put(inode._replace(replication=op.replication))
    for block_id in inode.blocks:
        state.blocks.set_replication(block_id, op.replication)


EDITS: Edits = {
    PermissionSet: permission_set,
    OwnerSet: owner_set,
    TimesSet: times_set,
    ReplicationSet: replication_set,
}
