from minihdfs.pb import hadoop_hdfs_pb2 as _hadoop_hdfs_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUCCESS: _ClassVar[Status]
    ERROR: _ClassVar[Status]
    ERROR_CHECKSUM: _ClassVar[Status]
    ERROR_INVALID: _ClassVar[Status]
    ERROR_EXISTS: _ClassVar[Status]
    ERROR_ACCESS_TOKEN: _ClassVar[Status]
    CHECKSUM_OK: _ClassVar[Status]
    ERROR_UNSUPPORTED: _ClassVar[Status]
    OOB_RESTART: _ClassVar[Status]
    OOB_RESERVED1: _ClassVar[Status]
    OOB_RESERVED2: _ClassVar[Status]
    OOB_RESERVED3: _ClassVar[Status]
    IN_PROGRESS: _ClassVar[Status]
    ERROR_BLOCK_PINNED: _ClassVar[Status]
SUCCESS: Status
ERROR: Status
ERROR_CHECKSUM: Status
ERROR_INVALID: Status
ERROR_EXISTS: Status
ERROR_ACCESS_TOKEN: Status
CHECKSUM_OK: Status
ERROR_UNSUPPORTED: Status
OOB_RESTART: Status
OOB_RESERVED1: Status
OOB_RESERVED2: Status
OOB_RESERVED3: Status
IN_PROGRESS: Status
ERROR_BLOCK_PINNED: Status

class DataTransferTraceInfo(_message.Message):
    __slots__ = ("traceId", "parentId", "spanContext")
    TRACEID_FIELD_NUMBER: _ClassVar[int]
    PARENTID_FIELD_NUMBER: _ClassVar[int]
    SPANCONTEXT_FIELD_NUMBER: _ClassVar[int]
    traceId: int
    parentId: int
    spanContext: bytes
    def __init__(self, traceId: _Optional[int] = ..., parentId: _Optional[int] = ..., spanContext: _Optional[bytes] = ...) -> None: ...

class BaseHeader(_message.Message):
    __slots__ = ("block", "token", "traceInfo")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TRACEINFO_FIELD_NUMBER: _ClassVar[int]
    block: _hadoop_hdfs_pb2.ExtendedBlock
    token: _hadoop_hdfs_pb2.Token
    traceInfo: DataTransferTraceInfo
    def __init__(self, block: _Optional[_Union[_hadoop_hdfs_pb2.ExtendedBlock, _Mapping]] = ..., token: _Optional[_Union[_hadoop_hdfs_pb2.Token, _Mapping]] = ..., traceInfo: _Optional[_Union[DataTransferTraceInfo, _Mapping]] = ...) -> None: ...

class ClientOperationHeader(_message.Message):
    __slots__ = ("baseHeader", "clientName")
    BASEHEADER_FIELD_NUMBER: _ClassVar[int]
    CLIENTNAME_FIELD_NUMBER: _ClassVar[int]
    baseHeader: BaseHeader
    clientName: str
    def __init__(self, baseHeader: _Optional[_Union[BaseHeader, _Mapping]] = ..., clientName: _Optional[str] = ...) -> None: ...

class CachingStrategy(_message.Message):
    __slots__ = ("dropBehind", "readahead")
    DROPBEHIND_FIELD_NUMBER: _ClassVar[int]
    READAHEAD_FIELD_NUMBER: _ClassVar[int]
    dropBehind: bool
    readahead: int
    def __init__(self, dropBehind: bool = ..., readahead: _Optional[int] = ...) -> None: ...

class Checksum(_message.Message):
    __slots__ = ("type", "bytesPerChecksum")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    BYTESPERCHECKSUM_FIELD_NUMBER: _ClassVar[int]
    type: _hadoop_hdfs_pb2.ChecksumType
    bytesPerChecksum: int
    def __init__(self, type: _Optional[_Union[_hadoop_hdfs_pb2.ChecksumType, str]] = ..., bytesPerChecksum: _Optional[int] = ...) -> None: ...

class OpReadBlock(_message.Message):
    __slots__ = ("header", "offset", "len", "sendChecksums", "cachingStrategy")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LEN_FIELD_NUMBER: _ClassVar[int]
    SENDCHECKSUMS_FIELD_NUMBER: _ClassVar[int]
    CACHINGSTRATEGY_FIELD_NUMBER: _ClassVar[int]
    header: ClientOperationHeader
    offset: int
    len: int
    sendChecksums: bool
    cachingStrategy: CachingStrategy
    def __init__(self, header: _Optional[_Union[ClientOperationHeader, _Mapping]] = ..., offset: _Optional[int] = ..., len: _Optional[int] = ..., sendChecksums: bool = ..., cachingStrategy: _Optional[_Union[CachingStrategy, _Mapping]] = ...) -> None: ...

class OpWriteBlock(_message.Message):
    __slots__ = ("header", "targets", "source", "stage", "pipelineSize", "minBytesRcvd", "maxBytesRcvd", "latestGenerationStamp", "requestedChecksum", "cachingStrategy", "storageType", "targetStorageTypes", "allowLazyPersist", "pinning", "targetPinnings", "storageId", "targetStorageIds")
    class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PIPELINE_SETUP_APPEND: _ClassVar[OpWriteBlock.Stage]
        PIPELINE_SETUP_APPEND_RECOVERY: _ClassVar[OpWriteBlock.Stage]
        DATA_STREAMING: _ClassVar[OpWriteBlock.Stage]
        PIPELINE_SETUP_STREAMING_RECOVERY: _ClassVar[OpWriteBlock.Stage]
        PIPELINE_CLOSE: _ClassVar[OpWriteBlock.Stage]
        PIPELINE_CLOSE_RECOVERY: _ClassVar[OpWriteBlock.Stage]
        PIPELINE_SETUP_CREATE: _ClassVar[OpWriteBlock.Stage]
        TRANSFER_RBW: _ClassVar[OpWriteBlock.Stage]
        TRANSFER_FINALIZED: _ClassVar[OpWriteBlock.Stage]
    PIPELINE_SETUP_APPEND: OpWriteBlock.Stage
    PIPELINE_SETUP_APPEND_RECOVERY: OpWriteBlock.Stage
    DATA_STREAMING: OpWriteBlock.Stage
    PIPELINE_SETUP_STREAMING_RECOVERY: OpWriteBlock.Stage
    PIPELINE_CLOSE: OpWriteBlock.Stage
    PIPELINE_CLOSE_RECOVERY: OpWriteBlock.Stage
    PIPELINE_SETUP_CREATE: OpWriteBlock.Stage
    TRANSFER_RBW: OpWriteBlock.Stage
    TRANSFER_FINALIZED: OpWriteBlock.Stage
    HEADER_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PIPELINESIZE_FIELD_NUMBER: _ClassVar[int]
    MINBYTESRCVD_FIELD_NUMBER: _ClassVar[int]
    MAXBYTESRCVD_FIELD_NUMBER: _ClassVar[int]
    LATESTGENERATIONSTAMP_FIELD_NUMBER: _ClassVar[int]
    REQUESTEDCHECKSUM_FIELD_NUMBER: _ClassVar[int]
    CACHINGSTRATEGY_FIELD_NUMBER: _ClassVar[int]
    STORAGETYPE_FIELD_NUMBER: _ClassVar[int]
    TARGETSTORAGETYPES_FIELD_NUMBER: _ClassVar[int]
    ALLOWLAZYPERSIST_FIELD_NUMBER: _ClassVar[int]
    PINNING_FIELD_NUMBER: _ClassVar[int]
    TARGETPINNINGS_FIELD_NUMBER: _ClassVar[int]
    STORAGEID_FIELD_NUMBER: _ClassVar[int]
    TARGETSTORAGEIDS_FIELD_NUMBER: _ClassVar[int]
    header: ClientOperationHeader
    targets: _containers.RepeatedCompositeFieldContainer[_hadoop_hdfs_pb2.DatanodeInfo]
    source: _hadoop_hdfs_pb2.DatanodeInfo
    stage: OpWriteBlock.Stage
    pipelineSize: int
    minBytesRcvd: int
    maxBytesRcvd: int
    latestGenerationStamp: int
    requestedChecksum: Checksum
    cachingStrategy: CachingStrategy
    storageType: _hadoop_hdfs_pb2.StorageType
    targetStorageTypes: _containers.RepeatedScalarFieldContainer[_hadoop_hdfs_pb2.StorageType]
    allowLazyPersist: bool
    pinning: bool
    targetPinnings: _containers.RepeatedScalarFieldContainer[bool]
    storageId: str
    targetStorageIds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, header: _Optional[_Union[ClientOperationHeader, _Mapping]] = ..., targets: _Optional[_Iterable[_Union[_hadoop_hdfs_pb2.DatanodeInfo, _Mapping]]] = ..., source: _Optional[_Union[_hadoop_hdfs_pb2.DatanodeInfo, _Mapping]] = ..., stage: _Optional[_Union[OpWriteBlock.Stage, str]] = ..., pipelineSize: _Optional[int] = ..., minBytesRcvd: _Optional[int] = ..., maxBytesRcvd: _Optional[int] = ..., latestGenerationStamp: _Optional[int] = ..., requestedChecksum: _Optional[_Union[Checksum, _Mapping]] = ..., cachingStrategy: _Optional[_Union[CachingStrategy, _Mapping]] = ..., storageType: _Optional[_Union[_hadoop_hdfs_pb2.StorageType, str]] = ..., targetStorageTypes: _Optional[_Iterable[_Union[_hadoop_hdfs_pb2.StorageType, str]]] = ..., allowLazyPersist: bool = ..., pinning: bool = ..., targetPinnings: _Optional[_Iterable[bool]] = ..., storageId: _Optional[str] = ..., targetStorageIds: _Optional[_Iterable[str]] = ...) -> None: ...

class OpTransferBlock(_message.Message):
    __slots__ = ("header", "targets", "targetStorageTypes", "targetStorageIds")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    TARGETSTORAGETYPES_FIELD_NUMBER: _ClassVar[int]
    TARGETSTORAGEIDS_FIELD_NUMBER: _ClassVar[int]
    header: ClientOperationHeader
    targets: _containers.RepeatedCompositeFieldContainer[_hadoop_hdfs_pb2.DatanodeInfo]
    targetStorageTypes: _containers.RepeatedScalarFieldContainer[_hadoop_hdfs_pb2.StorageType]
    targetStorageIds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, header: _Optional[_Union[ClientOperationHeader, _Mapping]] = ..., targets: _Optional[_Iterable[_Union[_hadoop_hdfs_pb2.DatanodeInfo, _Mapping]]] = ..., targetStorageTypes: _Optional[_Iterable[_Union[_hadoop_hdfs_pb2.StorageType, str]]] = ..., targetStorageIds: _Optional[_Iterable[str]] = ...) -> None: ...

class OpReplaceBlock(_message.Message):
    __slots__ = ("header", "delHint", "source", "storageType", "storageId")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DELHINT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STORAGETYPE_FIELD_NUMBER: _ClassVar[int]
    STORAGEID_FIELD_NUMBER: _ClassVar[int]
    header: BaseHeader
    delHint: str
    source: _hadoop_hdfs_pb2.DatanodeInfo
    storageType: _hadoop_hdfs_pb2.StorageType
    storageId: str
    def __init__(self, header: _Optional[_Union[BaseHeader, _Mapping]] = ..., delHint: _Optional[str] = ..., source: _Optional[_Union[_hadoop_hdfs_pb2.DatanodeInfo, _Mapping]] = ..., storageType: _Optional[_Union[_hadoop_hdfs_pb2.StorageType, str]] = ..., storageId: _Optional[str] = ...) -> None: ...

class OpCopyBlock(_message.Message):
    __slots__ = ("header",)
    HEADER_FIELD_NUMBER: _ClassVar[int]
    header: BaseHeader
    def __init__(self, header: _Optional[_Union[BaseHeader, _Mapping]] = ...) -> None: ...

class BlockChecksumOptions(_message.Message):
    __slots__ = ("blockChecksumType", "stripeLength")
    BLOCKCHECKSUMTYPE_FIELD_NUMBER: _ClassVar[int]
    STRIPELENGTH_FIELD_NUMBER: _ClassVar[int]
    blockChecksumType: _hadoop_hdfs_pb2.BlockChecksumType
    stripeLength: int
    def __init__(self, blockChecksumType: _Optional[_Union[_hadoop_hdfs_pb2.BlockChecksumType, str]] = ..., stripeLength: _Optional[int] = ...) -> None: ...

class OpBlockChecksum(_message.Message):
    __slots__ = ("header", "blockChecksumOptions")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BLOCKCHECKSUMOPTIONS_FIELD_NUMBER: _ClassVar[int]
    header: BaseHeader
    blockChecksumOptions: BlockChecksumOptions
    def __init__(self, header: _Optional[_Union[BaseHeader, _Mapping]] = ..., blockChecksumOptions: _Optional[_Union[BlockChecksumOptions, _Mapping]] = ...) -> None: ...

class ShortCircuitShmId(_message.Message):
    __slots__ = ("hi", "lo")
    HI_FIELD_NUMBER: _ClassVar[int]
    LO_FIELD_NUMBER: _ClassVar[int]
    hi: int
    lo: int
    def __init__(self, hi: _Optional[int] = ..., lo: _Optional[int] = ...) -> None: ...

class ShortCircuitShmSlot(_message.Message):
    __slots__ = ("shmId", "slotIdx")
    SHMID_FIELD_NUMBER: _ClassVar[int]
    SLOTIDX_FIELD_NUMBER: _ClassVar[int]
    shmId: ShortCircuitShmId
    slotIdx: int
    def __init__(self, shmId: _Optional[_Union[ShortCircuitShmId, _Mapping]] = ..., slotIdx: _Optional[int] = ...) -> None: ...

class OpRequestShortCircuitAccess(_message.Message):
    __slots__ = ("header", "maxVersion", "slotId", "supportsReceiptVerification")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    MAXVERSION_FIELD_NUMBER: _ClassVar[int]
    SLOTID_FIELD_NUMBER: _ClassVar[int]
    SUPPORTSRECEIPTVERIFICATION_FIELD_NUMBER: _ClassVar[int]
    header: BaseHeader
    maxVersion: int
    slotId: ShortCircuitShmSlot
    supportsReceiptVerification: bool
    def __init__(self, header: _Optional[_Union[BaseHeader, _Mapping]] = ..., maxVersion: _Optional[int] = ..., slotId: _Optional[_Union[ShortCircuitShmSlot, _Mapping]] = ..., supportsReceiptVerification: bool = ...) -> None: ...

class OpCustom(_message.Message):
    __slots__ = ("customId",)
    CUSTOMID_FIELD_NUMBER: _ClassVar[int]
    customId: str
    def __init__(self, customId: _Optional[str] = ...) -> None: ...

class PacketHeader(_message.Message):
    __slots__ = ("offsetInBlock", "seqno", "lastPacketInBlock", "dataLen", "syncBlock")
    OFFSETINBLOCK_FIELD_NUMBER: _ClassVar[int]
    SEQNO_FIELD_NUMBER: _ClassVar[int]
    LASTPACKETINBLOCK_FIELD_NUMBER: _ClassVar[int]
    DATALEN_FIELD_NUMBER: _ClassVar[int]
    SYNCBLOCK_FIELD_NUMBER: _ClassVar[int]
    offsetInBlock: int
    seqno: int
    lastPacketInBlock: bool
    dataLen: int
    syncBlock: bool
    def __init__(self, offsetInBlock: _Optional[int] = ..., seqno: _Optional[int] = ..., lastPacketInBlock: bool = ..., dataLen: _Optional[int] = ..., syncBlock: bool = ...) -> None: ...

class PipelineAck(_message.Message):
    __slots__ = ("seqno", "reply", "downstreamAckTimeNanos", "flag")
    SEQNO_FIELD_NUMBER: _ClassVar[int]
    REPLY_FIELD_NUMBER: _ClassVar[int]
    DOWNSTREAMACKTIMENANOS_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    seqno: int
    reply: _containers.RepeatedScalarFieldContainer[Status]
    downstreamAckTimeNanos: int
    flag: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, seqno: _Optional[int] = ..., reply: _Optional[_Iterable[_Union[Status, str]]] = ..., downstreamAckTimeNanos: _Optional[int] = ..., flag: _Optional[_Iterable[int]] = ...) -> None: ...

class ReadOpChecksumInfo(_message.Message):
    __slots__ = ("checksum", "chunkOffset")
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    CHUNKOFFSET_FIELD_NUMBER: _ClassVar[int]
    checksum: Checksum
    chunkOffset: int
    def __init__(self, checksum: _Optional[_Union[Checksum, _Mapping]] = ..., chunkOffset: _Optional[int] = ...) -> None: ...

class OpBlockChecksumResponse(_message.Message):
    __slots__ = ("bytesPerCrc", "crcPerBlock", "blockChecksum", "crcType", "blockChecksumOptions")
    BYTESPERCRC_FIELD_NUMBER: _ClassVar[int]
    CRCPERBLOCK_FIELD_NUMBER: _ClassVar[int]
    BLOCKCHECKSUM_FIELD_NUMBER: _ClassVar[int]
    CRCTYPE_FIELD_NUMBER: _ClassVar[int]
    BLOCKCHECKSUMOPTIONS_FIELD_NUMBER: _ClassVar[int]
    bytesPerCrc: int
    crcPerBlock: int
    blockChecksum: bytes
    crcType: _hadoop_hdfs_pb2.ChecksumType
    blockChecksumOptions: BlockChecksumOptions
    def __init__(self, bytesPerCrc: _Optional[int] = ..., crcPerBlock: _Optional[int] = ..., blockChecksum: _Optional[bytes] = ..., crcType: _Optional[_Union[_hadoop_hdfs_pb2.ChecksumType, str]] = ..., blockChecksumOptions: _Optional[_Union[BlockChecksumOptions, _Mapping]] = ...) -> None: ...

class BlockOpResponse(_message.Message):
    __slots__ = ("status", "firstBadLink", "checksumResponse", "readOpChecksumInfo", "message", "shortCircuitAccessVersion")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FIRSTBADLINK_FIELD_NUMBER: _ClassVar[int]
    CHECKSUMRESPONSE_FIELD_NUMBER: _ClassVar[int]
    READOPCHECKSUMINFO_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SHORTCIRCUITACCESSVERSION_FIELD_NUMBER: _ClassVar[int]
    status: Status
    firstBadLink: str
    checksumResponse: OpBlockChecksumResponse
    readOpChecksumInfo: ReadOpChecksumInfo
    message: str
    shortCircuitAccessVersion: int
    def __init__(self, status: _Optional[_Union[Status, str]] = ..., firstBadLink: _Optional[str] = ..., checksumResponse: _Optional[_Union[OpBlockChecksumResponse, _Mapping]] = ..., readOpChecksumInfo: _Optional[_Union[ReadOpChecksumInfo, _Mapping]] = ..., message: _Optional[str] = ..., shortCircuitAccessVersion: _Optional[int] = ...) -> None: ...

class ClientReadStatus(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: Status
    def __init__(self, status: _Optional[_Union[Status, str]] = ...) -> None: ...

class DNTransferAck(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: Status
    def __init__(self, status: _Optional[_Union[Status, str]] = ...) -> None: ...
