"""The codec of the namenode's journal: its edits and their envelope."""

from __future__ import annotations

from clusterkit.codec import Codec
from clusterkit.effects import Edit
from minihdfs.namenode.core.edits import OPS

CODEC = Codec([Edit, *OPS])
