"""The codec of the namenode's journal."""

from __future__ import annotations

from clusterkit.records import EditCodec
from minihdfs.namenode.core.namesystem import EDITS

CODEC = EditCodec(EDITS)
