from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubmitRequest(_message.Message):
    __slots__ = ("token", "user", "plan", "spec")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    token: str
    user: str
    plan: JobPlan
    spec: bytes
    def __init__(self, token: _Optional[str] = ..., user: _Optional[str] = ..., plan: _Optional[_Union[JobPlan, _Mapping]] = ..., spec: _Optional[bytes] = ...) -> None: ...

class SubmitReply(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class JobPlan(_message.Message):
    __slots__ = ("name", "stages", "outputs", "limits", "max_attempts", "code", "code_sha256", "open")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CODE_SHA256_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    name: str
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    outputs: _containers.RepeatedCompositeFieldContainer[JobOutput]
    limits: Limits
    max_attempts: int
    code: str
    code_sha256: str
    open: bool
    def __init__(self, name: _Optional[str] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[JobOutput, _Mapping]]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., max_attempts: _Optional[int] = ..., code: _Optional[str] = ..., code_sha256: _Optional[str] = ..., open: bool = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("id", "name", "tasks", "inputs", "partitions", "commits", "splits", "driver", "affinity")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    SPLITS_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    AFFINITY_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    tasks: int
    inputs: _containers.RepeatedCompositeFieldContainer[Edge]
    partitions: int
    commits: _containers.RepeatedScalarFieldContainer[int]
    splits: _containers.RepeatedCompositeFieldContainer[TaskSplit]
    driver: bool
    affinity: str
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., tasks: _Optional[int] = ..., inputs: _Optional[_Iterable[_Union[Edge, _Mapping]]] = ..., partitions: _Optional[int] = ..., commits: _Optional[_Iterable[int]] = ..., splits: _Optional[_Iterable[_Union[TaskSplit, _Mapping]]] = ..., driver: bool = ..., affinity: _Optional[str] = ...) -> None: ...

class Edge(_message.Message):
    __slots__ = ("tag", "stage", "kind", "first")
    TAG_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    tag: int
    stage: int
    kind: str
    first: int
    def __init__(self, tag: _Optional[int] = ..., stage: _Optional[int] = ..., kind: _Optional[str] = ..., first: _Optional[int] = ...) -> None: ...

class TaskSplit(_message.Message):
    __slots__ = ("tag", "source", "hosts")
    TAG_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    tag: int
    source: bytes
    hosts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tag: _Optional[int] = ..., source: _Optional[bytes] = ..., hosts: _Optional[_Iterable[str]] = ...) -> None: ...

class JobOutput(_message.Message):
    __slots__ = ("number", "path", "published", "replaced_file_id", "replaced_job_id")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FILE_ID_FIELD_NUMBER: _ClassVar[int]
    REPLACED_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    number: int
    path: str
    published: bool
    replaced_file_id: int
    replaced_job_id: str
    def __init__(self, number: _Optional[int] = ..., path: _Optional[str] = ..., published: bool = ..., replaced_file_id: _Optional[int] = ..., replaced_job_id: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("memory_limit_bytes", "no_progress_limit_us")
    MEMORY_LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    NO_PROGRESS_LIMIT_US_FIELD_NUMBER: _ClassVar[int]
    memory_limit_bytes: int
    no_progress_limit_us: int
    def __init__(self, memory_limit_bytes: _Optional[int] = ..., no_progress_limit_us: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("attempt_id", "state", "output", "counters", "result")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    state: str
    output: TaskOutput
    counters: Counters
    result: bytes
    def __init__(self, attempt_id: _Optional[str] = ..., state: _Optional[str] = ..., output: _Optional[_Union[TaskOutput, _Mapping]] = ..., counters: _Optional[_Union[Counters, _Mapping]] = ..., result: _Optional[bytes] = ...) -> None: ...

class TaskOutput(_message.Message):
    __slots__ = ("segment_bytes", "segment_records", "codec", "fingerprint")
    SEGMENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_RECORDS_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    segment_bytes: _containers.RepeatedScalarFieldContainer[int]
    segment_records: _containers.RepeatedScalarFieldContainer[int]
    codec: int
    fingerprint: str
    def __init__(self, segment_bytes: _Optional[_Iterable[int]] = ..., segment_records: _Optional[_Iterable[int]] = ..., codec: _Optional[int] = ..., fingerprint: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("path", "file_id", "length", "crc32c", "output", "records")
    PATH_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    path: str
    file_id: int
    length: int
    crc32c: int
    output: int
    records: int
    def __init__(self, path: _Optional[str] = ..., file_id: _Optional[int] = ..., length: _Optional[int] = ..., crc32c: _Optional[int] = ..., output: _Optional[int] = ..., records: _Optional[int] = ...) -> None: ...

class WorkerOrder(_message.Message):
    __slots__ = ("epoch", "launch", "kill", "forget", "outputs", "ping", "results")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_FIELD_NUMBER: _ClassVar[int]
    KILL_FIELD_NUMBER: _ClassVar[int]
    FORGET_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    launch: Launch
    kill: KillAttempt
    forget: ForgetJob
    outputs: TellOutputs
    ping: Ping
    results: TellResults
    def __init__(self, epoch: _Optional[int] = ..., launch: _Optional[_Union[Launch, _Mapping]] = ..., kill: _Optional[_Union[KillAttempt, _Mapping]] = ..., forget: _Optional[_Union[ForgetJob, _Mapping]] = ..., outputs: _Optional[_Union[TellOutputs, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., results: _Optional[_Union[TellResults, _Mapping]] = ...) -> None: ...

class Launch(_message.Message):
    __slots__ = ("attempt_id", "job_id", "stage", "index", "spec", "split", "split_tag", "limits", "user", "partitions", "targets", "inputs", "known", "results", "driver", "extensions", "affinity")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    SPLIT_TAG_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    EXTENSIONS_FIELD_NUMBER: _ClassVar[int]
    AFFINITY_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    job_id: str
    stage: int
    index: int
    spec: bytes
    split: bytes
    split_tag: int
    limits: Limits
    user: str
    partitions: int
    targets: _containers.RepeatedCompositeFieldContainer[Target]
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    known: _containers.RepeatedCompositeFieldContainer[OutputLocation]
    results: _containers.RepeatedCompositeFieldContainer[TaskResult]
    driver: bool
    extensions: int
    affinity: str
    def __init__(self, attempt_id: _Optional[str] = ..., job_id: _Optional[str] = ..., stage: _Optional[int] = ..., index: _Optional[int] = ..., spec: _Optional[bytes] = ..., split: _Optional[bytes] = ..., split_tag: _Optional[int] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., user: _Optional[str] = ..., partitions: _Optional[int] = ..., targets: _Optional[_Iterable[_Union[Target, _Mapping]]] = ..., inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., known: _Optional[_Iterable[_Union[OutputLocation, _Mapping]]] = ..., results: _Optional[_Iterable[_Union[TaskResult, _Mapping]]] = ..., driver: bool = ..., extensions: _Optional[int] = ..., affinity: _Optional[str] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("output", "path", "name")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    output: int
    path: str
    name: str
    def __init__(self, output: _Optional[int] = ..., path: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("edge", "tag", "stage", "kind", "first", "tasks", "partitions")
    EDGE_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    edge: int
    tag: int
    stage: int
    kind: str
    first: int
    tasks: int
    partitions: int
    def __init__(self, edge: _Optional[int] = ..., tag: _Optional[int] = ..., stage: _Optional[int] = ..., kind: _Optional[str] = ..., first: _Optional[int] = ..., tasks: _Optional[int] = ..., partitions: _Optional[int] = ...) -> None: ...

class TellResults(_message.Message):
    __slots__ = ("attempt_id", "results")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    results: _containers.RepeatedCompositeFieldContainer[TaskResult]
    def __init__(self, attempt_id: _Optional[str] = ..., results: _Optional[_Iterable[_Union[TaskResult, _Mapping]]] = ...) -> None: ...

class TaskResult(_message.Message):
    __slots__ = ("stage", "task", "result")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    stage: int
    task: int
    result: bytes
    def __init__(self, stage: _Optional[int] = ..., task: _Optional[int] = ..., result: _Optional[bytes] = ...) -> None: ...

class OutputLocation(_message.Message):
    __slots__ = ("stage", "task", "attempt_id", "host", "shuffle_port", "bytes", "worker_id", "lost", "codec")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    SHUFFLE_PORT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    stage: int
    task: int
    attempt_id: str
    host: str
    shuffle_port: int
    bytes: int
    worker_id: str
    lost: bool
    codec: int
    def __init__(self, stage: _Optional[int] = ..., task: _Optional[int] = ..., attempt_id: _Optional[str] = ..., host: _Optional[str] = ..., shuffle_port: _Optional[int] = ..., bytes: _Optional[int] = ..., worker_id: _Optional[str] = ..., lost: bool = ..., codec: _Optional[int] = ...) -> None: ...

class TellOutputs(_message.Message):
    __slots__ = ("job_id", "locations")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    locations: _containers.RepeatedCompositeFieldContainer[OutputLocation]
    def __init__(self, job_id: _Optional[str] = ..., locations: _Optional[_Iterable[_Union[OutputLocation, _Mapping]]] = ...) -> None: ...

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
    __slots__ = ("attempt_id", "progress", "done", "failed", "fetch_failed")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    FETCH_FAILED_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    progress: Progress
    done: TaskDone
    failed: Failed
    fetch_failed: FetchFailed
    def __init__(self, attempt_id: _Optional[str] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., done: _Optional[_Union[TaskDone, _Mapping]] = ..., failed: _Optional[_Union[Failed, _Mapping]] = ..., fetch_failed: _Optional[_Union[FetchFailed, _Mapping]] = ...) -> None: ...

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

class TaskDone(_message.Message):
    __slots__ = ("output", "counters", "result")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    output: TaskOutput
    counters: Counters
    result: bytes
    def __init__(self, output: _Optional[_Union[TaskOutput, _Mapping]] = ..., counters: _Optional[_Union[Counters, _Mapping]] = ..., result: _Optional[bytes] = ...) -> None: ...

class Failed(_message.Message):
    __slots__ = ("failure_json", "killed")
    FAILURE_JSON_FIELD_NUMBER: _ClassVar[int]
    KILLED_FIELD_NUMBER: _ClassVar[int]
    failure_json: bytes
    killed: bool
    def __init__(self, failure_json: _Optional[bytes] = ..., killed: bool = ...) -> None: ...

class FetchFailed(_message.Message):
    __slots__ = ("sources", "reason")
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, sources: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ReportReply(_message.Message):
    __slots__ = ("epoch", "hello_again")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HELLO_AGAIN_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    hello_again: bool
    def __init__(self, epoch: _Optional[int] = ..., hello_again: bool = ...) -> None: ...

class CommitRequest(_message.Message):
    __slots__ = ("attempt_id", "files", "counters", "worker_id", "result")
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    attempt_id: str
    files: _containers.RepeatedCompositeFieldContainer[FileResult]
    counters: Counters
    worker_id: str
    result: bytes
    def __init__(self, attempt_id: _Optional[str] = ..., files: _Optional[_Iterable[_Union[FileResult, _Mapping]]] = ..., counters: _Optional[_Union[Counters, _Mapping]] = ..., worker_id: _Optional[str] = ..., result: _Optional[bytes] = ...) -> None: ...

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
