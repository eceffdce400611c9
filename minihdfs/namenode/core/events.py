"""Everything that the namenode's core is told, in one list: the requests of every room, what
datanodes say, and what the process around it does. Each is defined in its room."""

from __future__ import annotations

from dataclasses import dataclass

from minihdfs.namenode.core.attributes.calls import SetOwner as SetOwner
from minihdfs.namenode.core.attributes.calls import SetPermission as SetPermission
from minihdfs.namenode.core.attributes.calls import SetReplication as SetReplication
from minihdfs.namenode.core.attributes.calls import SetTimes as SetTimes
from minihdfs.namenode.core.blocks.calls import GetBlockLocations as GetBlockLocations
from minihdfs.namenode.core.blocks.calls import GetFsStats as GetFsStats
from minihdfs.namenode.core.blocks.calls import GetServerDefaults as GetServerDefaults
from minihdfs.namenode.core.blocks.calls import ReportBadBlocks as ReportBadBlocks
from minihdfs.namenode.core.blocks.calls import SetSafeMode as SetSafeMode
from minihdfs.namenode.core.datanodes.calls import BlocksChanged as BlocksChanged
from minihdfs.namenode.core.datanodes.calls import FullBlockReport as FullBlockReport
from minihdfs.namenode.core.datanodes.calls import GetDatanodeReport as GetDatanodeReport
from minihdfs.namenode.core.datanodes.calls import Heartbeat as Heartbeat
from minihdfs.namenode.core.datanodes.calls import RegisterDatanode as RegisterDatanode
from minihdfs.namenode.core.datanodes.calls import ReplicasFoundBad as ReplicasFoundBad
from minihdfs.namenode.core.files.calls import AbandonFile as AbandonFile
from minihdfs.namenode.core.files.calls import Complete as Complete
from minihdfs.namenode.core.files.calls import Create as Create
from minihdfs.namenode.core.files.calls import IsFileClosed as IsFileClosed
from minihdfs.namenode.core.files.lease_recovery import RecoverLease as RecoverLease
from minihdfs.namenode.core.files.lease_recovery import RenewLease as RenewLease
from minihdfs.namenode.core.files.pipelines import GetAdditionalDatanode as GetAdditionalDatanode
from minihdfs.namenode.core.files.pipelines import UpdateBlockForPipeline as UpdateBlockForPipeline
from minihdfs.namenode.core.files.pipelines import UpdatePipeline as UpdatePipeline
from minihdfs.namenode.core.files.writing import AbandonBlock as AbandonBlock
from minihdfs.namenode.core.files.writing import AddBlock as AddBlock
from minihdfs.namenode.core.files.writing import Fsync as Fsync
from minihdfs.namenode.core.request import Caller as Caller
from minihdfs.namenode.core.term import LeadershipGained as LeadershipGained
from minihdfs.namenode.core.tree.calls import Delete as Delete
from minihdfs.namenode.core.tree.calls import Mkdirs as Mkdirs
from minihdfs.namenode.core.tree.calls import Rename as Rename
from minihdfs.namenode.core.tree.calls import Rename2 as Rename2
from minihdfs.namenode.core.tree.calls import RenameMany as RenameMany
from minihdfs.namenode.core.tree.elected import EpochCeiling as EpochCeiling
from minihdfs.namenode.core.tree.publish import Publish as Publish
from minihdfs.namenode.core.tree.publish import ResetTrackerEpoch as ResetTrackerEpoch
from minihdfs.namenode.core.tree.reads import CheckAccess as CheckAccess
from minihdfs.namenode.core.tree.reads import GetContentSummary as GetContentSummary
from minihdfs.namenode.core.tree.reads import GetFileInfo as GetFileInfo
from minihdfs.namenode.core.tree.reads import GetListing as GetListing


@dataclass(frozen=True, slots=True)
class StoreFlushed:
    """The store on disk now holds every edit up to this txid: the overlay may drop them."""

    txid: int


@dataclass(frozen=True, slots=True)
class StoreLags:
    """The store on disk is so far behind that memory fills (`reason` says so), or has caught up
    (""). Requests that change something wait meanwhile."""

    reason: str


@dataclass(frozen=True, slots=True)
class StoreSpaceChanged:
    """The disk under journal and store went below its reserve (`reason` says so) or has room again
    (""). Edits are refused meanwhile."""

    reason: str
