"""Who may do what: POSIX owner, group and other bits, the sticky bit, and one superuser. Pure
questions about inodes.

The superuser and members of the supergroup are never refused. Rules follow HDFS: traversing needs x
on every ancestor, changing a directory's names needs w and x on it, chmod needs the owner, chown
needs the superuser (an owner may give the file to a group of theirs).
"""

from __future__ import annotations

from collections.abc import Sequence

from minihdfs.errors import AccessDenied
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.core.records import Inode
from minihdfs.namenode.core.request import Caller

READ, WRITE, EXECUTE = 4, 2, 1
STICKY = 0o1000


class Permissions:
    def __init__(self, options: Options) -> None:
        self._enabled = options.permissions_enabled
        self._superuser, self._supergroup = options.superuser, options.supergroup

    def is_super(self, caller: Caller) -> bool:
        """True for whoever is never refused: resolution may then skip reading the ancestors."""
        return (
            not self._enabled or caller.user == self._superuser or self._supergroup in caller.groups
        )

    def check(self, caller: Caller, inode: Inode, want: int, path: str) -> None:
        """Raises AccessDenied unless the caller has all the bits of `want` on the inode."""
        if self.is_super(caller) or self.allowed(caller, inode, want):
            return
        raise AccessDenied(
            f"Permission denied: user={caller.user}, access={_bits(want)}, "
            f'inode="{path}":{inode.owner}:{inode.group}:{_mode(inode)}',
            next_command=f"mrc fs stat {path}",
        )

    @staticmethod
    def allowed(caller: Caller, inode: Inode, want: int) -> bool:
        if caller.user == inode.owner:
            have = inode.permission >> 6
        elif inode.group in caller.groups:
            have = inode.permission >> 3
        else:
            have = inode.permission
        return have & want == want

    def check_traverse(self, caller: Caller, ancestors: Sequence[Inode], path: str) -> None:
        """x on every directory above the last component."""
        if self.is_super(caller):
            return
        for inode in ancestors:
            self.check(caller, inode, EXECUTE, path)

    def check_names(
        self, caller: Caller, directory: Inode, path: str, child: Inode | None = None
    ) -> None:
        """May the caller add or take names in `directory`? `child` is what would be taken: a sticky
        directory guards it."""
        if self.is_super(caller):
            return
        self.check(caller, directory, WRITE | EXECUTE, path)
        if (
            child is not None
            and directory.permission & STICKY
            and caller.user not in (directory.owner, child.owner)
        ):
            what = f'"{path}":{child.owner}:{child.group}:{_mode(child)}'
            raise AccessDenied(f"Permission denied by sticky bit: user={caller.user}, path={what}")

    def check_owner(self, caller: Caller, inode: Inode, path: str) -> None:
        if not self.is_super(caller) and caller.user != inode.owner:
            raise AccessDenied(
                f"Permission denied: user={caller.user} is not the owner of {path} ({inode.owner})"
            )

    def check_chown(self, caller: Caller, inode: Inode, owner: str, group: str, path: str) -> None:
        if self.is_super(caller):
            return
        self.check_owner(caller, inode, path)
        if owner and owner != inode.owner:
            raise AccessDenied(
                f"Permission denied: only {self._superuser} may change the owner of {path}"
            )
        if group and group != inode.group and group not in caller.groups:
            raise AccessDenied(f"Permission denied: {caller.user} does not belong to {group}")

    def check_superuser(self, caller: Caller, what: str) -> None:
        if not self.is_super(caller):
            raise AccessDenied(
                f"Permission denied: {what} needs the superuser {self._superuser}, not "
                f"{caller.user}"
            )


def _bits(want: int) -> str:
    names = [
        name for bit, name in ((READ, "READ"), (WRITE, "WRITE"), (EXECUTE, "EXECUTE")) if want & bit
    ]
    return "_".join(names) or "NONE"


def _mode(inode: Inode) -> str:
    mode = inode.permission
    bits = "".join(letter if mode & (1 << (8 - i)) else "-" for i, letter in enumerate("rwxrwxrwx"))
    if mode & STICKY:
        bits = bits[:-1] + ("t" if mode & 1 else "T")
    return ("d" if inode.is_directory else "-") + bits
