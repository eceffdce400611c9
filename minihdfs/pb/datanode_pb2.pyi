from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Block(_message.Message):
    __slots__ = ("id", "stamp", "length")
    ID_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    id: int
    stamp: int
    length: int
    def __init__(self, id: _Optional[int] = ..., stamp: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class Address(_message.Message):
    __slots__ = ("uuid", "host", "hostname", "xfer_port", "ipc_port", "rack", "domain_socket")
    UUID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    XFER_PORT_FIELD_NUMBER: _ClassVar[int]
    IPC_PORT_FIELD_NUMBER: _ClassVar[int]
    RACK_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_SOCKET_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    host: str
    hostname: str
    xfer_port: int
    ipc_port: int
    rack: str
    domain_socket: str
    def __init__(self, uuid: _Optional[str] = ..., host: _Optional[str] = ..., hostname: _Optional[str] = ..., xfer_port: _Optional[int] = ..., ipc_port: _Optional[int] = ..., rack: _Optional[str] = ..., domain_socket: _Optional[str] = ...) -> None: ...

class Disk(_message.Message):
    __slots__ = ("id", "capacity_bytes", "remaining_bytes")
    ID_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    REMAINING_BYTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    capacity_bytes: int
    remaining_bytes: int
    def __init__(self, id: _Optional[str] = ..., capacity_bytes: _Optional[int] = ..., remaining_bytes: _Optional[int] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("capacity_bytes", "used_bytes", "remaining_bytes", "transfers", "blocks", "disks")
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    REMAINING_BYTES_FIELD_NUMBER: _ClassVar[int]
    TRANSFERS_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    DISKS_FIELD_NUMBER: _ClassVar[int]
    capacity_bytes: int
    used_bytes: int
    remaining_bytes: int
    transfers: int
    blocks: int
    disks: _containers.RepeatedCompositeFieldContainer[Disk]
    def __init__(self, capacity_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., remaining_bytes: _Optional[int] = ..., transfers: _Optional[int] = ..., blocks: _Optional[int] = ..., disks: _Optional[_Iterable[_Union[Disk, _Mapping]]] = ...) -> None: ...

class RegisterRequest(_message.Message):
    __slots__ = ("address", "cluster_id", "usage", "software_version")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    address: Address
    cluster_id: str
    usage: Usage
    software_version: int
    def __init__(self, address: _Optional[_Union[Address, _Mapping]] = ..., cluster_id: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., software_version: _Optional[int] = ...) -> None: ...

class RegisterReply(_message.Message):
    __slots__ = ("registration_id", "cluster_id", "epoch", "heartbeat_interval_ms")
    REGISTRATION_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    registration_id: int
    cluster_id: str
    epoch: int
    heartbeat_interval_ms: int
    def __init__(self, registration_id: _Optional[int] = ..., cluster_id: _Optional[str] = ..., epoch: _Optional[int] = ..., heartbeat_interval_ms: _Optional[int] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("uuid", "registration_id", "usage")
    UUID_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_ID_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    registration_id: int
    usage: Usage
    def __init__(self, uuid: _Optional[str] = ..., registration_id: _Optional[int] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class Replicate(_message.Message):
    __slots__ = ("block", "targets")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    block: Block
    targets: _containers.RepeatedCompositeFieldContainer[Address]
    def __init__(self, block: _Optional[_Union[Block, _Mapping]] = ..., targets: _Optional[_Iterable[_Union[Address, _Mapping]]] = ...) -> None: ...

class Invalidate(_message.Message):
    __slots__ = ("blocks", "unknown")
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    unknown: bool
    def __init__(self, blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., unknown: bool = ...) -> None: ...

class Repair(_message.Message):
    __slots__ = ("block", "sources")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    block: Block
    sources: _containers.RepeatedCompositeFieldContainer[Address]
    def __init__(self, block: _Optional[_Union[Block, _Mapping]] = ..., sources: _Optional[_Iterable[_Union[Address, _Mapping]]] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("replicate", "invalidate", "repair")
    REPLICATE_FIELD_NUMBER: _ClassVar[int]
    INVALIDATE_FIELD_NUMBER: _ClassVar[int]
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    replicate: Replicate
    invalidate: Invalidate
    repair: Repair
    def __init__(self, replicate: _Optional[_Union[Replicate, _Mapping]] = ..., invalidate: _Optional[_Union[Invalidate, _Mapping]] = ..., repair: _Optional[_Union[Repair, _Mapping]] = ...) -> None: ...

class HeartbeatReply(_message.Message):
    __slots__ = ("epoch", "orders", "reregister")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    REREGISTER_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    orders: _containers.RepeatedCompositeFieldContainer[Order]
    reregister: bool
    def __init__(self, epoch: _Optional[int] = ..., orders: _Optional[_Iterable[_Union[Order, _Mapping]]] = ..., reregister: bool = ...) -> None: ...

class FullReportChunk(_message.Message):
    __slots__ = ("uuid", "registration_id", "report_id", "begun_sequence", "chunk", "last", "replicas", "bad", "unfinished")
    UUID_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_ID_FIELD_NUMBER: _ClassVar[int]
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    BEGUN_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    BAD_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    registration_id: int
    report_id: int
    begun_sequence: int
    chunk: int
    last: bool
    replicas: _containers.RepeatedCompositeFieldContainer[Block]
    bad: _containers.RepeatedCompositeFieldContainer[Block]
    unfinished: _containers.RepeatedCompositeFieldContainer[Block]
    def __init__(self, uuid: _Optional[str] = ..., registration_id: _Optional[int] = ..., report_id: _Optional[int] = ..., begun_sequence: _Optional[int] = ..., chunk: _Optional[int] = ..., last: bool = ..., replicas: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., bad: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., unfinished: _Optional[_Iterable[_Union[Block, _Mapping]]] = ...) -> None: ...

class CopyEnded(_message.Message):
    __slots__ = ("block_id", "target", "failure")
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    block_id: int
    target: str
    failure: str
    def __init__(self, block_id: _Optional[int] = ..., target: _Optional[str] = ..., failure: _Optional[str] = ...) -> None: ...

class ChangesRequest(_message.Message):
    __slots__ = ("uuid", "registration_id", "sequence", "received", "deleted", "copied")
    UUID_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    COPIED_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    registration_id: int
    sequence: int
    received: _containers.RepeatedCompositeFieldContainer[Block]
    deleted: _containers.RepeatedCompositeFieldContainer[Block]
    copied: _containers.RepeatedCompositeFieldContainer[CopyEnded]
    def __init__(self, uuid: _Optional[str] = ..., registration_id: _Optional[int] = ..., sequence: _Optional[int] = ..., received: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., deleted: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., copied: _Optional[_Iterable[_Union[CopyEnded, _Mapping]]] = ...) -> None: ...

class BadReplicasRequest(_message.Message):
    __slots__ = ("uuid", "registration_id", "blocks")
    UUID_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_ID_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    registration_id: int
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    def __init__(self, uuid: _Optional[str] = ..., registration_id: _Optional[int] = ..., blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ...) -> None: ...

class ReportReply(_message.Message):
    __slots__ = ("epoch", "reregister", "orders")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REREGISTER_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    reregister: bool
    orders: _containers.RepeatedCompositeFieldContainer[Order]
    def __init__(self, epoch: _Optional[int] = ..., reregister: bool = ..., orders: _Optional[_Iterable[_Union[Order, _Mapping]]] = ...) -> None: ...
