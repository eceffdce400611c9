"""Which cluster a command means, and how its services are reached: the home directory's
announcements, or the coordinator's word.

`--cluster`/`MRC_CLUSTER` (zk://HOST:PORT/PATH) names a cluster of several machines; without it the
home does. A path that says hdfs://HOST:PORT/… is its own address.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coordinator.connect import check_cluster
from coordinator.home import Home
from coordinator.leaders import Leaders
from mrc.printing import err

if TYPE_CHECKING:
    from minihdfs.client.filesystem import FileSystem

NOTICE_AFTER_S = 1.0


class _Notice:
    """Says on standard error, once per absence, that the namenode is being waited for; a short
    blink is not worth a word."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._said = False

    def tell(self, why: str) -> None:
        if not why:
            self._since, self._said = None, False
            return
        self._since = self._since or time.monotonic()
        if not self._said and time.monotonic() - self._since >= NOTICE_AFTER_S:
            self._said = True
            err(f"waiting for the namenode: {why}", lines=False)


@dataclass(frozen=True, slots=True)
class Context:
    home: Home
    cluster: str = ""  # "" = the home's own

    @classmethod
    def of(cls, given: Mapping[str, str | None] | None) -> Context:
        """From what the `mrc` group put into click's context object."""
        given = given or {}
        cluster = given.get("cluster") or os.environ.get("MRC_CLUSTER") or ""
        return cls(Home.named(given.get("home")), check_cluster(cluster) if cluster else "")

    @property
    def user(self) -> str:
        """Who is asking; Hadoop's own variable, so that one environment serves both shells."""
        from minihdfs.client.filesystem import own_user

        return os.environ.get("HADOOP_USER_NAME") or own_user()

    def filesystem(self, uri: str = "") -> FileSystem:
        """The cluster's file system, or the one at hdfs://HOST:PORT. Raises Unavailable when this
        cluster has no namenode now."""
        from minihdfs.client.filesystem import connect

        return connect(uri or self.namenode_address(), user=self.user, waiting=_Notice().tell)

    def namenode_address(self) -> str:
        return self.leaders().namenode()

    def tracker_address(self) -> str:
        return self.leaders().tracker()

    def leaders(self) -> Leaders:
        """For long use: asked again, it finds a leader that moved. A cluster of several machines is
        connected once in a process."""
        from coordinator.connect import find_leaders

        return find_leaders(self.home.path, self.cluster)
