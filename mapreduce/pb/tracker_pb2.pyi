from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubmitRequest(_message.Message):
    __slots__ = ("token", "spec_json", "user")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    token: str
    spec_json: bytes
    user: str
    def __init__(self, token: _Optional[str] = ..., spec_json: _Optional[bytes] = ..., user: _Optional[str] = ...) -> None: ...

class SubmitReply(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class JobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class JobReply(_message.Message):
    __slots__ = ("status_json",)
    STATUS_JSON_FIELD_NUMBER: _ClassVar[int]
    status_json: bytes
    def __init__(self, status_json: _Optional[bytes] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("job_id", "interval_ms")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    interval_ms: int
    def __init__(self, job_id: _Optional[str] = ..., interval_ms: _Optional[int] = ...) -> None: ...

class KillRequest(_message.Message):
    __slots__ = ("job_id", "reason")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    reason: str
    def __init__(self, job_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("finished_too",)
    FINISHED_TOO_FIELD_NUMBER: _ClassVar[int]
    finished_too: bool
    def __init__(self, finished_too: bool = ...) -> None: ...

class ListReply(_message.Message):
    __slots__ = ("status_json",)
    STATUS_JSON_FIELD_NUMBER: _ClassVar[int]
    status_json: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, status_json: _Optional[_Iterable[bytes]] = ...) -> None: ...

class LogsRequest(_message.Message):
    __slots__ = ("job_id", "task")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    task: str
    def __init__(self, job_id: _Optional[str] = ..., task: _Optional[str] = ...) -> None: ...

class LogsReply(_message.Message):
    __slots__ = ("logs",)
    LOGS_FIELD_NUMBER: _ClassVar[int]
    logs: _containers.RepeatedCompositeFieldContainer[AttemptLog]
    def __init__(self, logs: _Optional[_Iterable[_Union[AttemptLog, _Mapping]]] = ...) -> None: ...

class AttemptLog(_message.Message):
    __slots__ = ("attempt_id", "worker_address", "state")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    worker_address: str
    state: str
    def __init__(self, attempt_id: _Optional[str] = ..., worker_address: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class ClusterRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClusterReply(_message.Message):
    __slots__ = ("workers", "running", "waiting", "epoch")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerRow]
    running: int
    waiting: int
    epoch: int
    def __init__(self, workers: _Optional[_Iterable[_Union[WorkerRow, _Mapping]]] = ..., running: _Optional[int] = ..., waiting: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class WorkerRow(_message.Message):
    __slots__ = ("worker_id", "address", "state", "slots", "busy", "no_room")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    NO_ROOM_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    address: str
    state: str
    slots: int
    busy: int
    no_room: str
    def __init__(self, worker_id: _Optional[str] = ..., address: _Optional[str] = ..., state: _Optional[str] = ..., slots: _Optional[int] = ..., busy: _Optional[int] = ..., no_room: _Optional[str] = ...) -> None: ...

class WorkerHello(_message.Message):
    __slots__ = ("worker_id", "incarnation", "host", "rpc_port", "shuffle_port", "slots", "highest_epoch", "inventory", "no_room")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    RPC_PORT_FIELD_NUMBER: _ClassVar[int]
    SHUFFLE_PORT_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_EPOCH_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    NO_ROOM_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    incarnation: str
    host: str
    rpc_port: int
    shuffle_port: int
    slots: int
    highest_epoch: int
    inventory: _containers.RepeatedCompositeFieldContainer[AttemptInventory]
    no_room: str
    def __init__(self, worker_id: _Optional[str] = ..., incarnation: _Optional[str] = ..., host: _Optional[str] = ..., rpc_port: _Optional[int] = ..., shuffle_port: _Optional[int] = ..., slots: _Optional[int] = ..., highest_epoch: _Optional[int] = ..., inventory: _Optional[_Iterable[_Union[AttemptInventory, _Mapping]]] = ..., no_room: _Optional[str] = ...) -> None: ...

class AttemptInventory(_message.Message):
    __slots__ = ("attempt_id", "state", "output", "counters")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    state: str
    output: MapOutput
    counters: Counters
    def __init__(self, attempt_id: _Optional[str] = ..., state: _Optional[str] = ..., output: _Optional[_Union[MapOutput, _Mapping]] = ..., counters: _Optional[_Union[Counters, _Mapping]] = ...) -> None: ...

class MapOutput(_message.Message):
    __slots__ = ("segment_bytes", "segment_records")
    SEGMENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_RECORDS_FIELD_NUMBER: _ClassVar[int]
    segment_bytes: _containers.RepeatedScalarFieldContainer[int]
    segment_records: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, segment_bytes: _Optional[_Iterable[int]] = ..., segment_records: _Optional[_Iterable[int]] = ...) -> None: ...

class Counters(_message.Message):
    __slots__ = ("counters",)
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    counters: _containers.RepeatedCompositeFieldContainer[Counter]
    def __init__(self, counters: _Optional[_Iterable[_Union[Counter, _Mapping]]] = ...) -> None: ...

class Counter(_message.Message):
    __slots__ = ("group", "name", "value")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    group: str
    name: str
    value: int
    def __init__(self, group: _Optional[str] = ..., name: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...

class FileResult(_message.Message):
    __slots__ = ("path", "file_id", "length", "crc32c")
    PATH_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    path: str
    file_id: int
    length: int
    crc32c: int
    def __init__(self, path: _Optional[str] = ..., file_id: _Optional[int] = ..., length: _Optional[int] = ..., crc32c: _Optional[int] = ...) -> None: ...

class WorkerOrder(_message.Message):
    __slots__ = ("epoch", "launch", "kill", "forget", "map_outputs", "ping")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_FIELD_NUMBER: _ClassVar[int]
    KILL_FIELD_NUMBER: _ClassVar[int]
    FORGET_FIELD_NUMBER: _ClassVar[int]
    MAP_OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    launch: Launch
    kill: KillAttempt
    forget: ForgetJob
    map_outputs: MapOutputs
    ping: Ping
    def __init__(self, epoch: _Optional[int] = ..., launch: _Optional[_Union[Launch, _Mapping]] = ..., kill: _Optional[_Union[KillAttempt, _Mapping]] = ..., forget: _Optional[_Union[ForgetJob, _Mapping]] = ..., map_outputs: _Optional[_Union[MapOutputs, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ...) -> None: ...

class Launch(_message.Message):
    __slots__ = ("attempt_id", "job_id", "kind", "index", "spec_json", "split_json", "maps", "known")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    SPLIT_JSON_FIELD_NUMBER: _ClassVar[int]
    MAPS_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    job_id: str
    kind: str
    index: int
    spec_json: bytes
    split_json: bytes
    maps: int
    known: _containers.RepeatedCompositeFieldContainer[MapLocation]
    def __init__(self, attempt_id: _Optional[str] = ..., job_id: _Optional[str] = ..., kind: _Optional[str] = ..., index: _Optional[int] = ..., spec_json: _Optional[bytes] = ..., split_json: _Optional[bytes] = ..., maps: _Optional[int] = ..., known: _Optional[_Iterable[_Union[MapLocation, _Mapping]]] = ...) -> None: ...

class MapLocation(_message.Message):
    __slots__ = ("map_index", "attempt_id", "host", "shuffle_port", "bytes", "worker_id", "lost")
    MAP_INDEX_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    SHUFFLE_PORT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    map_index: int
    attempt_id: str
    host: str
    shuffle_port: int
    bytes: int
    worker_id: str
    lost: bool
    def __init__(self, map_index: _Optional[int] = ..., attempt_id: _Optional[str] = ..., host: _Optional[str] = ..., shuffle_port: _Optional[int] = ..., bytes: _Optional[int] = ..., worker_id: _Optional[str] = ..., lost: bool = ...) -> None: ...

class MapOutputs(_message.Message):
    __slots__ = ("job_id", "locations")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    locations: _containers.RepeatedCompositeFieldContainer[MapLocation]
    def __init__(self, job_id: _Optional[str] = ..., locations: _Optional[_Iterable[_Union[MapLocation, _Mapping]]] = ...) -> None: ...

class KillAttempt(_message.Message):
    __slots__ = ("attempt_id", "reason")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    reason: str
    def __init__(self, attempt_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ForgetJob(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WorkerReport(_message.Message):
    __slots__ = ("worker_id", "incarnation", "sequence", "attempts", "no_room")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NO_ROOM_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    incarnation: str
    sequence: int
    attempts: _containers.RepeatedCompositeFieldContainer[AttemptReport]
    no_room: str
    def __init__(self, worker_id: _Optional[str] = ..., incarnation: _Optional[str] = ..., sequence: _Optional[int] = ..., attempts: _Optional[_Iterable[_Union[AttemptReport, _Mapping]]] = ..., no_room: _Optional[str] = ...) -> None: ...

class AttemptReport(_message.Message):
    __slots__ = ("attempt_id", "progress", "map_succeeded", "failed", "fetch_failed")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    MAP_SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    FETCH_FAILED_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    progress: Progress
    map_succeeded: MapSucceeded
    failed: Failed
    fetch_failed: FetchFailed
    def __init__(self, attempt_id: _Optional[str] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., map_succeeded: _Optional[_Union[MapSucceeded, _Mapping]] = ..., failed: _Optional[_Union[Failed, _Mapping]] = ..., fetch_failed: _Optional[_Union[FetchFailed, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("fraction", "phase", "status", "counters")
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    fraction: float
    phase: str
    status: str
    counters: Counters
    def __init__(self, fraction: _Optional[float] = ..., phase: _Optional[str] = ..., status: _Optional[str] = ..., counters: _Optional[_Union[Counters, _Mapping]] = ...) -> None: ...

class MapSucceeded(_message.Message):
    __slots__ = ("output", "counters")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    output: MapOutput
    counters: Counters
    def __init__(self, output: _Optional[_Union[MapOutput, _Mapping]] = ..., counters: _Optional[_Union[Counters, _Mapping]] = ...) -> None: ...

class Failed(_message.Message):
    __slots__ = ("failure_json", "killed")
    FAILURE_JSON_FIELD_NUMBER: _ClassVar[int]
    KILLED_FIELD_NUMBER: _ClassVar[int]
    failure_json: bytes
    killed: bool
    def __init__(self, failure_json: _Optional[bytes] = ..., killed: bool = ...) -> None: ...

class FetchFailed(_message.Message):
    __slots__ = ("map_attempt_ids", "reason")
    MAP_ATTEMPT_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    map_attempt_ids: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, map_attempt_ids: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ReportReply(_message.Message):
    __slots__ = ("epoch", "hello_again")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HELLO_AGAIN_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    hello_again: bool
    def __init__(self, epoch: _Optional[int] = ..., hello_again: bool = ...) -> None: ...

class CommitRequest(_message.Message):
    __slots__ = ("attempt_id", "file", "counters", "worker_id")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    file: FileResult
    counters: Counters
    worker_id: str
    def __init__(self, attempt_id: _Optional[str] = ..., file: _Optional[_Union[FileResult, _Mapping]] = ..., counters: _Optional[_Union[Counters, _Mapping]] = ..., worker_id: _Optional[str] = ...) -> None: ...

class CommitReply(_message.Message):
    __slots__ = ("epoch", "granted", "winner", "reason")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    WINNER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    granted: bool
    winner: str
    reason: str
    def __init__(self, epoch: _Optional[int] = ..., granted: bool = ..., winner: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class LogRequest(_message.Message):
    __slots__ = ("attempt_id", "offset", "limit")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    offset: int
    limit: int
    def __init__(self, attempt_id: _Optional[str] = ..., offset: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class LogReply(_message.Message):
    __slots__ = ("data", "total")
    DATA_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    total: int
    def __init__(self, data: _Optional[bytes] = ..., total: _Optional[int] = ...) -> None: ...
