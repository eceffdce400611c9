"""Which groups a user is in, as the operating system of the namenode's machine knows them: HDFS's
own default.

Looked up when a user first calls and again after some minutes, never by the core, which is told
with every call. A user the system does not know is in a group of their own name, so that a cluster
without accounts works like one with them.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable

KEPT_S = 300.0
USERS_MAX = 4096
"""Users remembered at once: whoever makes names up gets them looked up, but not kept."""


class OsGroups:
    def __init__(self, superuser: str, supergroup: str, now_s: Callable[[], float]) -> None:
        self._superuser, self._supergroup, self._now_s = superuser, supergroup, now_s
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}

    def __call__(self, user: str) -> tuple[str, ...]:
        now_s = self._now_s()
        known = self._known.get(user)
        if known is not None and now_s - known[0] < KEPT_S:
            return known[1]
        groups = looked_up(user)
        if user == self._superuser:
            groups = tuple(dict.fromkeys((self._supergroup, *groups)))
        self._known.pop(user, None)
        if len(self._known) >= USERS_MAX:
            del self._known[next(iter(self._known))]
        self._known[user] = (now_s, groups)
        return groups


def looked_up(user: str) -> tuple[str, ...]:
    """The primary group first. Names only: a number without a name cannot be said to a file."""
    try:
        ids = os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
    except (
        KeyError,
        OSError,
        ValueError,
    ):  # ValueError: a name with NUL, or one that the system's encoding cannot say
        return (user,)
    names = []
    for number in ids:
        try:
            names.append(grp.getgrgid(number).gr_name)
        except (KeyError, OSError):
            continue
    return tuple(dict.fromkeys(names)) or (user,)
