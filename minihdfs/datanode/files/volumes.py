"""All the volumes of one datanode: opened at start, those that cannot be are left out; tended by a
thread each, because a disk may hang.

The data directory remembers which volume was at which path (identity.json): a path that held blocks
and is empty now is a disk that is not mounted, and is never formatted on the quiet.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from clusterkit.errors import ClusterError
from clusterkit.service import DataDirectory
from minihdfs.datanode.files.volume import Volume
from minihdfs.errors import WrongCluster

log = logging.getLogger(__name__)

TEND_S = 1.0


def open_volumes(
    directory: DataDirectory, roots: Sequence[Path], reserve_bytes: int
) -> list[Volume]:
    """At least one. Raises WrongCluster for a volume of another cluster or node, and what kept the
    last one from being opened."""
    volumes: list[Volume] = []
    troubles: list[ClusterError] = []
    known = directory.parts
    for root in roots:
        try:
            volume = Volume.open(
                root,
                directory.node_id,
                directory.cluster_id,
                reserve_bytes,
                known.get(_name(directory, root), ""),
            )
        except WrongCluster:
            raise
        except (ClusterError, OSError) as error:
            trouble = (
                error
                if isinstance(error, ClusterError)
                else ClusterError(f"{root}: {error.strerror}", next_command=f"ls -la {root}")
            )
            log.error("%s is left out: %s", root, trouble.message)
            troubles.append(trouble)
            continue
        volumes.append(volume)
    if not volumes:
        raise troubles[-1]
    directory.remember_parts(
        {**known, **{_name(directory, volume.root): volume.volume_id for volume in volumes}}
    )
    return volumes


def tend_volumes(volumes: Sequence[Volume]) -> Callable[[], None]:
    """Measures their room and empties their trash from now on; returns what ends that."""
    stopping = threading.Event()

    def tend(volume: Volume) -> None:
        while not stopping.wait(TEND_S) and not volume.failure:
            volume.tend()

    for volume in volumes:
        threading.Thread(
            target=tend, args=(volume,), name=f"disk {volume.root.name}", daemon=True
        ).start()
    return stopping.set


def _name(directory: DataDirectory, root: Path) -> str:
    """As it is remembered: below the data directory relative to it, so that the whole may be
    moved."""
    return (
        str(root.relative_to(directory.path)) if root.is_relative_to(directory.path) else str(root)
    )
