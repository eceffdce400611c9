"""What stands beside a name is changed, each request followed by its handler."""

from __future__ import annotations

from dataclasses import dataclass

from minihdfs.errors import InvalidArgument
from minihdfs.namenode.core.attributes import edits
from minihdfs.namenode.core.registry import Call, Calls
from minihdfs.namenode.core.request import Request
from minihdfs.namenode.core.state import State
from minihdfs.namenode.core.tree import bounds
from minihdfs.namenode.core.tree.permissions import WRITE
from minihdfs.namenode.core.tree.places import MODE_BITS

TIME_MS_MAX = 1 << 63


@dataclass(frozen=True, slots=True)
class SetPermission(Request):
    retried = True
    void = True

    path: str
    permission: int


def set_permission(state: State, event: SetPermission) -> None:
    state.safemode.require_off(f"set permission of {event.path}")
    inode = state.namespace.existing(event.caller, event.path)
    state.permissions.check_owner(event.caller, inode, event.path)
    state.commit(edits.PermissionSet(inode.id, event.permission & MODE_BITS), event.caller, True)


@dataclass(frozen=True, slots=True)
class SetOwner(Request):
    retried = True
    void = True

    path: str
    owner: str  # "" = unchanged
    group: str  # "" = unchanged


def set_owner(state: State, event: SetOwner) -> None:
    state.safemode.require_off(f"set owner of {event.path}")
    inode = state.namespace.existing(event.caller, event.path)
    state.permissions.check_chown(event.caller, inode, event.owner, event.group, event.path)
    bounds.check_text("owner", event.owner, bounds.OWNER_BYTES_MAX)
    bounds.check_text("group", event.group, bounds.OWNER_BYTES_MAX)
    state.commit(
        edits.OwnerSet(inode.id, event.owner or inode.owner, event.group or inode.group),
        event.caller,
        True,
    )


@dataclass(frozen=True, slots=True)
class SetTimes(Request):
    retried = True
    void = True

    path: str
    modified_ms: int | None  # None = unchanged
    accessed_ms: int | None


def set_times(state: State, event: SetTimes) -> None:
    state.safemode.require_off(f"set times of {event.path}")
    inode = state.namespace.existing(event.caller, event.path)
    state.permissions.check(event.caller, inode, WRITE, event.path)
    modified = inode.modified_ms if event.modified_ms is None else event.modified_ms
    accessed = inode.accessed_ms if event.accessed_ms is None else event.accessed_ms
    if not all(-TIME_MS_MAX <= time_ms < TIME_MS_MAX for time_ms in (modified, accessed)):
        raise InvalidArgument(f"times of {event.path} are beyond what Hadoop's protocol can say")
    state.commit(edits.TimesSet(inode.id, modified, accessed), event.caller, True)


@dataclass(frozen=True, slots=True)
class SetReplication(Request):
    """Answer: bool, False for a directory."""

    retried = True

    path: str
    replication: int


def set_replication(state: State, event: SetReplication) -> bool:
    state.safemode.require_off(f"set replication of {event.path}")
    inode = state.namespace.existing(event.caller, event.path)
    if inode.is_directory:
        return False
    if not 1 <= event.replication <= state.options.replication_max:
        raise InvalidArgument(
            f"replication {event.replication} of {event.path} is not within "
            f"1…{state.options.replication_max}"
        )
    state.permissions.check(event.caller, inode, WRITE, event.path)
    if inode.replication != event.replication:
        state.commit(edits.ReplicationSet(inode.id, event.replication), event.caller, True)
    return True


CALLS: Calls = {
    SetPermission: Call(set_permission),
    SetOwner: Call(set_owner),
    SetTimes: Call(set_times),
    SetReplication: Call(set_replication),
}
