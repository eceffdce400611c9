"""The codec of the namenode's journal: its edits, their envelope, and the answers that the retry table keeps."""

from __future__ import annotations

from clusterkit.codec import Codec
from clusterkit.effects import Edit
from minihdfs.model import BlockRef, DatanodeAddress, FileStatus, LocatedBlock
from minihdfs.namenode.core.edits import OPS

CODEC = Codec([Edit, *OPS, FileStatus, LocatedBlock, BlockRef, DatanodeAddress])
