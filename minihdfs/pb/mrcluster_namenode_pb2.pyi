from minihdfs.pb import hadoop_hdfs_pb2 as _hadoop_hdfs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Pair(_message.Message):
    __slots__ = ("source", "destination")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    source: str
    destination: str
    def __init__(self, source: _Optional[str] = ..., destination: _Optional[str] = ...) -> None: ...

class RenameManyRequest(_message.Message):
    __slots__ = ("pairs",)
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    pairs: _containers.RepeatedCompositeFieldContainer[Pair]
    def __init__(self, pairs: _Optional[_Iterable[_Union[Pair, _Mapping]]] = ...) -> None: ...

class RenameManyResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PublishRequest(_message.Message):
    __slots__ = ("staging", "destination", "replaced_inode_id", "tracker_epoch")
    STAGING_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    REPLACED_INODE_ID_FIELD_NUMBER: _ClassVar[int]
    TRACKER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    staging: str
    destination: str
    replaced_inode_id: int
    tracker_epoch: int
    def __init__(self, staging: _Optional[str] = ..., destination: _Optional[str] = ..., replaced_inode_id: _Optional[int] = ..., tracker_epoch: _Optional[int] = ...) -> None: ...

class PublishResponse(_message.Message):
    __slots__ = ("inode_id",)
    INODE_ID_FIELD_NUMBER: _ClassVar[int]
    inode_id: int
    def __init__(self, inode_id: _Optional[int] = ...) -> None: ...

class AbandonFileRequest(_message.Message):
    __slots__ = ("inode_id", "client_name")
    INODE_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
    inode_id: int
    client_name: str
    def __init__(self, inode_id: _Optional[int] = ..., client_name: _Optional[str] = ...) -> None: ...

class AbandonFileResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: bool
    def __init__(self, removed: bool = ...) -> None: ...

class ResetTrackerEpochRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResetTrackerEpochResponse(_message.Message):
    __slots__ = ("was", "now")
    WAS_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    was: int
    now: int
    def __init__(self, was: _Optional[int] = ..., now: _Optional[int] = ...) -> None: ...

class WhoLeadsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WhoLeadsResponse(_message.Message):
    __slots__ = ("epoch",)
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    def __init__(self, epoch: _Optional[int] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("capacity_bytes", "used_bytes", "remaining_bytes", "under_replicated_blocks", "corrupt_blocks", "missing_blocks", "files", "directories", "blocks", "safe_mode", "pending_deletion_blocks", "epoch", "cluster_id", "datanodes")
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    REMAINING_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNDER_REPLICATED_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    CORRUPT_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    MISSING_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    DIRECTORIES_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    SAFE_MODE_FIELD_NUMBER: _ClassVar[int]
    PENDING_DELETION_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    DATANODES_FIELD_NUMBER: _ClassVar[int]
    capacity_bytes: int
    used_bytes: int
    remaining_bytes: int
    under_replicated_blocks: int
    corrupt_blocks: int
    missing_blocks: int
    files: int
    directories: int
    blocks: int
    safe_mode: bool
    pending_deletion_blocks: int
    epoch: int
    cluster_id: str
    datanodes: _containers.RepeatedCompositeFieldContainer[_hadoop_hdfs_pb2.DatanodeInfo]
    def __init__(self, capacity_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., remaining_bytes: _Optional[int] = ..., under_replicated_blocks: _Optional[int] = ..., corrupt_blocks: _Optional[int] = ..., missing_blocks: _Optional[int] = ..., files: _Optional[int] = ..., directories: _Optional[int] = ..., blocks: _Optional[int] = ..., safe_mode: bool = ..., pending_deletion_blocks: _Optional[int] = ..., epoch: _Optional[int] = ..., cluster_id: _Optional[str] = ..., datanodes: _Optional[_Iterable[_Union[_hadoop_hdfs_pb2.DatanodeInfo, _Mapping]]] = ...) -> None: ...
