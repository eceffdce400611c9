"""The codec of the namenode's journal: its edits and their envelope."""

from __future__ import annotations

from clusterkit.codec import Codec
from clusterkit.effects import Edit
from minihdfs.namenode.core.namesystem import EDITS

CODEC = Codec([Edit, *(kind for kind, _applier in EDITS.values())])
