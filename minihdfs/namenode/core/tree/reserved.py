"""Names that are nobody's to give: what the file system keeps for itself, now or in a version to
come.

`.snapshot` anywhere, `/.reserved`, and `/.system`, which exists from the first edit on, is the
superuser's, and shows in no listing.
"""

from __future__ import annotations

from minihdfs import paths
from minihdfs.errors import AccessDenied, InvalidPath

SNAPSHOT, RESERVED, SYSTEM = ".snapshot", ".reserved", ".system"
SYSTEM_MODE = 0o700


def check_new(names: tuple[str, ...]) -> None:
    """May something be made at, or moved to, this path?"""
    if SNAPSHOT in names or names[:1] == (RESERVED,):
        kept = SNAPSHOT if SNAPSHOT in names else RESERVED
        raise InvalidPath(f"{paths.join(*names)}: the name {kept} is reserved by the file system")


def check_taken(names: tuple[str, ...]) -> None:
    """May what is at this path be moved or deleted?"""
    if names == (SYSTEM,):
        raise AccessDenied(
            f"/{SYSTEM} belongs to the file system itself: it can be neither moved nor deleted"
        )
